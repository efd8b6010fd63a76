# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pieces of Verilog."""

import re

__all__ = ["VerilogText"]


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
