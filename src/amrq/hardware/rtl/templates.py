# SPDX-License-Identifier: GPL-3.0-or-later
"""Verilog from templates: names, expressions, graphs of adders."""

import heapq
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from amrq.machine import optional_package
from amrq.text import markdown

__all__ = [
    "AdderGraph",
    "AdderPipeline",
    "VerilogText",
    "bits_for",
    "module_text",
    "rendered",
    "signed_digits",
]

_FOLDER = files("amrq.hardware.rtl") / "verilog"


def bits_for(lowest: int, highest: int) -> int:
    """Return the bits that hold all integers of a range: in two's complement where it goes below zero, else unsigned.

    Args:
        lowest: least.
        highest: largest, not below `lowest`.

    >>> bits_for(0, 255), bits_for(-128, 127)
    (8, 8)
    """
    if lowest < 0:
        return max((~lowest).bit_length(), max(highest, 0).bit_length()) + 1
    return max(highest.bit_length(), 1)


class VerilogText:
    """Expressions with their widths spelled out, so that no tool has to guess and none warns."""

    @staticmethod
    def constant(value: int, bits: int) -> str:
        """Return a literal in two's complement."""
        return f"{bits}'d{value % (1 << bits)}"

    @staticmethod
    def widened(name: str, bits: int, signed: bool, left: int, wanted: int) -> str:
        """Return a number times 2^left in `wanted` bits; what lies above is cut off.

        Args:
            name: a vector of at least `bits` bits.
            bits: its width.
            signed: whether its first bit is a sign.
            left: places to shift.
            wanted: width of the result.
        """
        if wanted <= left:
            return f"{wanted}'d0"
        kept = min(bits, wanted - left)
        parts = []
        missing = wanted - left - kept
        if missing:
            parts.append(f"{{{missing}{{{name}[{bits - 1}]}}}}" if signed else f"{missing}'d0")
        parts.append(name if kept == bits else f"{name}[{kept - 1}:0]")
        if left:
            parts.append(f"{left}'d0")
        return parts[0] if len(parts) == 1 else f"{{{', '.join(parts)}}}"

    @staticmethod
    def quoted(text: str) -> str:
        """Return a name from outside for people to read in a `//` comment: quoted, in ASCII, on one line.

        A comment ends with its line, and tools obey some that begin with their name (`// verilator lint_off`,
        `// synthesis translate_off`): a quote before the text and no character that means anything to a preprocessor
        make it plain text to all of them.
        """
        ascii_text = text.encode("ascii", "backslashreplace").decode("ascii")
        return '"' + re.sub(r"[^A-Za-z0-9 +\-/.,:;()=_#@%]", "_", ascii_text) + '"'

    @staticmethod
    def index(value: int) -> int:
        """Return the bits that numbers below `value` take, at least 1."""
        return max((value - 1).bit_length(), 1)


@cache
def _environment() -> Any:
    """Return Jinja, set up for Verilog.

    Verilog is full of braces, so `${width}` stands for a value and `<% if %>` for a statement; a statement at a line's
    end takes the line's end with it. A name that a template uses and nobody gave is an error.
    """
    jinja2 = optional_package("jinja2", "making Verilog")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (_FOLDER / name).read_text("utf-8")),
        undefined=jinja2.StrictUndefined,
        variable_start_string="${",
        variable_end_string="}",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # nothing of this is HTML; names from outside go through `quoted`
    )
    environment.globals.update(
        constant=VerilogText.constant,
        widened=VerilogText.widened,
        quoted=VerilogText.quoted,
        index_bits=VerilogText.index,
        parameters=_parameters,
        markdown=markdown,
    )
    return environment


def _parameters(values: Mapping[str, int]) -> str:
    """Return what stands in the brackets of `module #(...)`."""
    return ", ".join(f".{name}({value})" for name, value in values.items())


def rendered(template: str, **values: Any) -> str:
    """Return a file made from a template.

    Args:
        template: name of a file in `verilog/`, such as `testbench.v.in`.
        values: what it asks for.

    Raises:
        AmrqError: the package jinja2 is missing.
    """
    return str(_environment().get_template(template).render(values))


def module_text(name: str) -> str:
    """Return a module of the library, which is the same in every design: `amrq_mean` for instance."""
    return (_FOLDER / f"{name}.v").read_text("utf-8")


def signed_digits(value: int) -> list[tuple[int, int]]:
    """Return the canonical signed digits of a whole number: no two neighbours, and no form has fewer.

    Args:
        value: any whole number.

    Returns:
        (place, sign) of each digit, the lowest place first: value = sum of sign times 2^place.

    >>> signed_digits(7)
    [(0, -1), (3, 1)]
    """
    digits, place = [], 0
    while value:
        if value & 1:
            sign = 2 - (value & 3)
            digits.append((place, sign))
            value -= sign
        value >>= 1
        place += 1
    return digits


class _Term(NamedTuple):
    """`sign` times a node's value times 2^shift."""

    node: int
    shift: int
    sign: int


class _Pair(NamedTuple):
    """What two terms of a sum have in common wherever they occur.

    It is first + sign * second * 2^shift, times some power of two; the shift may be below zero.
    """

    first: int
    second: int
    shift: int
    sign: int


_Sum: TypeAlias = dict[tuple[int, int], int]
"""The sign of each term, by node and shift."""
_Rank: TypeAlias = tuple[int, int, int, _Pair]


@dataclass(frozen=True)
class _Node:
    """An input, or the sum of two terms.

    Attributes:
        lowest: least value.
        highest: largest value.
        level: additions between the inputs and it.
        terms: what it adds; none for an input. A constant stands as a node of its own, with `level` -1.
    """

    lowest: int
    highest: int
    level: int
    terms: tuple[_Term, ...] = ()

    @property
    def bits(self) -> int:
        """Width; with a sign bit only where it can be below zero."""
        return bits_for(self.lowest, self.highest)

    @property
    def constant(self) -> bool:
        return self.level < 0


class _PairCounts:
    """How often each pair of terms occurs in the sums, and in which of them.

    Args:
        sums: changed by the caller, who reports each change.
        rank: of a pair that occurs so many times; the least comes first.

    Attributes:
        counts: occurrences by pair, those that overlap among them.
        where: by pair the numbers of the sums in which it occurs, or did.
    """

    def __init__(self, sums: list[_Sum], rank: Callable[[_Pair, int], _Rank]) -> None:
        # Millions of pairs are counted in a large layer, so they are plain tuples here, which equal a _Pair.
        self.counts: dict[tuple[int, int, int, int], int] = {}
        self.where: dict[tuple[int, int, int, int], set[int]] = {}
        self._sums = sums
        self._rank = rank
        for number, terms in enumerate(sums):
            ordered = sorted(terms)
            for k, a in enumerate(ordered):
                for b in ordered[k + 1 :]:
                    key = (a[0], b[0], b[1] - a[1], terms[a] * terms[b])
                    self.counts[key] = self.counts.get(key, 0) + 1
                    self.where.setdefault(key, set()).add(number)
        self._heap = [rank(_Pair(*key), times) for key, times in self.counts.items() if times > 1]
        heapq.heapify(self._heap)

    def change(self, number: int, changed: tuple[int, int], by: int) -> None:
        """Count in (1) or out (-1) all pairs of one term with the others of its sum."""
        terms = self._sums[number]
        own = terms[changed]
        for other, sign in terms.items():
            if other < changed:
                pair = (other[0], changed[0], changed[1] - other[1], sign * own)
            elif other > changed:
                pair = (changed[0], other[0], other[1] - changed[1], sign * own)
            else:
                continue
            times = self.counts[pair] = self.counts.get(pair, 0) + by
            if by > 0:
                self.where.setdefault(pair, set()).add(number)
                if times > 1:
                    heapq.heappush(self._heap, self._rank(_Pair(*pair), times))

    def most_frequent(self) -> _Pair | None:
        """Return the pair that comes first of those that occur twice or more; None where there is none."""
        while self._heap:
            rank = heapq.heappop(self._heap)
            pair, times = rank[-1], -rank[0]
            if self.counts[pair] == times:
                return pair
            # The entry has gone stale; the right one was pushed or comes now.
            if 1 < self.counts[pair] < times:
                heapq.heappush(self._heap, self._rank(pair, self.counts[pair]))
        return None


class AdderGraph:
    """A matrix of whole numbers times a vector, plus a bias for each output, out of additions of two numbers.

    Weights are written as canonical signed digits. The pair of terms that occurs most often in the outputs' sums is
    then made a node of its own and takes the pair's place in all of them, again and again until none occurs twice
    (two-term common-subexpression elimination, Hartley 1996). What is left of each sum is added up in a tree, the terms
    that are ready first.

    Args:
        weights: int [out, in].
        biases: int [out].
        lowest: least value of an input.
        highest: largest value of an input.

    Attributes:
        nodes: inputs first, then what is added, each after what it is made of.
        outputs: for each output the index of its node.
        inputs: number of inputs.

    >>> import numpy as np
    >>> graph = AdderGraph(np.array([[3, 5], [6, 10]]), np.array([0, 1]), lowest=-128, highest=127)
    >>> graph.additions > 0
    True
    """

    def __init__(
        self, weights: NDArray[np.int64], biases: NDArray[np.int64], lowest: int, highest: int
    ) -> None:
        self.inputs = weights.shape[1]
        self.nodes = [_Node(lowest, highest, 0) for _ in range(self.inputs)]
        self._made: dict[tuple[_Term, _Term], int] = {}
        sums = [
            {(i, place): sign for i, w in enumerate(row) for place, sign in signed_digits(int(w))}
            for row in weights
        ]
        self._share(sums)
        self.outputs = [self._add_up(terms, int(bias)) for terms, bias in zip(sums, biases, strict=True)]

    @property
    def additions(self) -> int:
        """Adders."""
        return sum(len(node.terms) == 2 for node in self.nodes)

    @property
    def adder_bits(self) -> int:
        """Bits of all adders together: about as many look-up tables as they take."""
        return sum(node.bits for node in self.nodes if len(node.terms) == 2)

    @property
    def levels(self) -> int:
        """Additions one after another on the longest way."""
        return max(self.nodes[node].level for node in self.outputs)

    # --- sharing ------------------------------------------------------------------------------------------------------

    def _share(self, sums: list[_Sum]) -> None:
        pairs = _PairCounts(sums, self._rank)
        while (pair := pairs.most_frequent()) is not None:
            found = [(n, hit) for n in sorted(pairs.where[pair]) for hit in self._occurrences(sums[n], pair)]
            if len(found) < 2:  # the rest overlapped
                pairs.counts[pair] = 0
                continue
            low = min(pair.shift, 0)  # nodes begin at place 0
            node = self._node(_Term(pair.first, -low, 1), _Term(pair.second, pair.shift - low, pair.sign))
            for number, (a, b) in found:
                sign = sums[number][a]
                for term in (a, b):
                    pairs.change(number, term, -1)
                    del sums[number][term]
                new = (node, a[1] + low)
                sums[number][new] = sign
                pairs.change(number, new, 1)

    def _rank(self, pair: _Pair, times: int) -> _Rank:
        """What occurs most often comes first; then what is ready early and is narrow."""
        a, b = self.nodes[pair.first], self.nodes[pair.second]
        width = max(a.bits - min(pair.shift, 0), b.bits + max(pair.shift, 0)) + min(pair.shift, 0)
        return -times, max(a.level, b.level), width, pair

    @staticmethod
    def _occurrences(terms: _Sum, pair: _Pair) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """Return occurrences of a pair in a sum that share no term."""
        used: set[tuple[int, int]] = set()
        found = []
        for a in sorted(term for term in terms if term[0] == pair.first):
            b = (pair.second, a[1] + pair.shift)
            if a in used or b in used or b not in terms or a == b or terms[a] * terms[b] != pair.sign:
                continue
            if (a, b) != tuple(sorted((a, b))):
                continue
            used |= {a, b}
            found.append((a, b))
        return found

    # --- adding up ----------------------------------------------------------------------------------------------------

    def _node(self, a: _Term, b: _Term) -> int:
        """Return the node that adds two terms, at least one of which counts positive."""
        key = (a, b) if a <= b else (b, a)
        if key not in self._made:
            ends = [
                sorted(
                    (
                        t.sign * self.nodes[t.node].lowest << t.shift,
                        t.sign * self.nodes[t.node].highest << t.shift,
                    )
                )
                for t in key
            ]
            level = max(self.nodes[t.node].level for t in key) + 1
            self.nodes.append(_Node(ends[0][0] + ends[1][0], ends[0][1] + ends[1][1], max(level, 1), key))
            self._made[key] = len(self.nodes) - 1
        return self._made[key]

    def _constant(self, value: int) -> int:
        self.nodes.append(_Node(value, value, -1))
        return len(self.nodes) - 1

    def _add_up(self, terms: _Sum, bias: int) -> int:
        left = [
            (self.nodes[n].level, self.nodes[n].bits + shift, _Term(n, shift, sign))
            for (n, shift), sign in terms.items()
        ]
        if bias or not left or all(t.sign < 0 for _, _, t in left) or left[0][2].shift or len(left) == 1:
            # The constant comes first, where sums are still narrow.
            left.append((-1, 0, _Term(self._constant(bias), 0, 1)))
        if len(left) == 1:
            return left[0][2].node
        heapq.heapify(left)
        while len(left) > 1:
            (_, _, a), (_, _, b) = heapq.heappop(left), heapq.heappop(left)
            low = min(a.shift, b.shift)
            # What counts negative twice is added up positive and taken away later.
            sign = 1 if 1 in (a.sign, b.sign) else -1
            node = self._node(
                _Term(a.node, a.shift - low, a.sign * sign), _Term(b.node, b.shift - low, b.sign * sign)
            )
            made = self.nodes[node]
            heapq.heappush(left, (made.level, made.bits + low, _Term(node, low, sign)))
        (_, _, last) = left[0]
        if last.shift or last.sign < 0:
            zero = _Term(self._constant(0), 0, 1)
            return self._node(zero, last)
        return last.node


class _Adder(NamedTuple):
    """An addition or subtraction of two numbers, and the register that holds its result.

    Attributes:
        name: of the register.
        bits: its width.
        value: what it takes over at the clock, in Verilog.
        meaning: the same for people, without widths.
    """

    name: str
    bits: int
    value: str
    meaning: str


class _Kept(NamedTuple):
    """A number that a later level needs.

    Attributes:
        bits: its width.
        names: its registers, the youngest first; before them the name of the number itself.
    """

    bits: int
    names: list[str]


class AdderPipeline:
    """An adder graph in Verilog, each node's value as many clocks late as its level: see `adder_pipeline.v.in`.

    The inputs are wires x0, x1, ..., as wide as the graph says, and node number n is on a<n>.

    Args:
        graph: what is computed.

    Attributes:
        sums: registers of sums, in the order of the graph's nodes.
        kept: values that later levels need.
        cut: some kept value has first bits for which the sums that it goes into are too small.
    """

    def __init__(self, graph: AdderGraph) -> None:
        self._graph = graph
        self._delays: dict[int, int] = {}
        self._taken: dict[tuple[int, int], int] = {}
        self.sums = [self._adder(number) for number, node in enumerate(graph.nodes) if len(node.terms) == 2]
        self.kept = [
            _Kept(
                graph.nodes[number].bits,
                [self._name(number), *(f"{self._name(number)}_{d + 1}" for d in range(late))],
            )
            for number, late in sorted(self._delays.items())
            if late
        ]
        self.cut = any(
            self._taken[node, late] < graph.nodes[node].bits for node, late in self._delays.items() if late
        )

    def _name(self, node: int) -> str:
        return f"x{node}" if node < self._graph.inputs else f"a{node}"

    def _at(self, node: int, level: int) -> str:
        """Name a node's value `level` clocks after the inputs, and see that it is kept until then."""
        late = level - self._graph.nodes[node].level
        self._delays[node] = max(self._delays.get(node, 0), late)
        return self._name(node) if late == 0 else f"{self._name(node)}_{late}"

    def _adder(self, number: int) -> _Adder:
        text, node = VerilogText, self._graph.nodes[number]
        operands, words = [], []
        # What counts negative comes second.
        for term in sorted(node.terms, key=lambda t: -t.sign):
            operand = self._graph.nodes[term.node]
            if operand.constant:
                value = operand.lowest << term.shift
                operands.append(text.constant(value, node.bits))
                words.append(str(value))
            else:
                source = self._at(term.node, node.level - 1)
                place = term.node, node.level - 1 - operand.level
                self._taken[place] = max(self._taken.get(place, 0), node.bits - term.shift)
                operands.append(text.widened(source, operand.bits, operand.lowest < 0, term.shift, node.bits))
                name = self._name(term.node)
                words.append(f"{1 << term.shift} {name}" if term.shift else name)
        sign = " + " if all(t.sign > 0 for t in node.terms) else " - "
        return _Adder(f"a{number}", node.bits, sign.join(operands), sign.join(words))
