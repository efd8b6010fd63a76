# SPDX-License-Identifier: GPL-3.0-or-later
"""Named sets of classes, in order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Generic, TypeVar

from amrq.classes.linear import LINEAR_CLASSES, LinearClass, linear_class
from amrq.classes.signal_class import LONGEST_NAME, STREAMS, SignalClass
from amrq.errors import AmrqError
from amrq.text import name_fault, printable

__all__ = ["CLASS_SETS", "OTHER_LINEAR", "THESIS_9", "ClassSet", "LinearSet", "called", "class_set"]

_C = TypeVar("_C", bound=SignalClass, covariant=True)


@dataclass(frozen=True, eq=False)
class ClassSet(Mapping[str, _C], Generic[_C]):
    """Classes in order, under a name: the classes of a model, of a data set or of an evaluation.

    A mapping from names to classes. Sets of the same classes in the same order are equal; the set's name does not
    count.

    Attributes:
        name: of the set.
        members: the classes.

    Raises:
        AmrqError: two classes have the same name.

    Example:
        >>> len(THESIS_9), THESIS_9["8PSK"].order, "64QAM" in THESIS_9
        (9, 8, False)
    """

    name: str
    members: tuple[_C, ...]

    def __post_init__(self) -> None:
        fault = name_fault(self.name, LONGEST_NAME)
        if fault:
            raise AmrqError(f"the name of a class set {fault}.")
        names = [member.name for member in self.members]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise AmrqError(f"the class set {printable(self.name)} has the class {printable(twice)} twice.")

    @cached_property
    def _by_name(self) -> dict[str, _C]:
        return {member.name: member for member in self.members}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, in order."""
        return tuple(self._by_name)

    @property
    def linear(self) -> "tuple[LinearClass, ...]":
        """The linear classes of the set that are neither turned nor staggered."""
        return tuple(member for member in self.members if isinstance(member, LinearClass) and member.plain)

    def index(self, name: str) -> int:
        """Return the place of a class in this set.

        Raises:
            AmrqError: the class is not in the set.
        """
        return self.names.index(self.find(name).name)

    def find(self, name: str) -> _C:
        """Return the class with a given name.

        Raises:
            AmrqError: the set has no class of that name; the message lists its names.
        """
        found = self._by_name.get(name)
        if found is None:
            raise AmrqError(
                f"there is no class {printable(name, LONGEST_NAME)!r} in {printable(self.name)}: choose from "
                f"{printable(', '.join(self.names), 1000)}."
            )
        return found

    def __getitem__(self, name: str) -> _C:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self.names)

    def __len__(self) -> int:
        return len(self.members)

    def __eq__(self, other: object) -> bool:
        return self.members == other.members if isinstance(other, ClassSet) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.members)


LinearSet = ClassSet[LinearClass]
"""A set of linear classes."""


def _named_set(name: str, *classes: str) -> LinearSet:
    return ClassSet(name, tuple(linear_class(one) for one in classes))


THESIS_9: LinearSet = _named_set("thesis-9", *STREAMS)
"""The nine classes of the thesis, in the order in which its models and tables list them."""

OTHER_LINEAR: LinearSet = _named_set(
    "other-linear",
    *("64QAM", "128QAM", "256QAM", "32QAM (8x4)", "8APSK (4+4)", "16APSK (4+12)", "32APSK (4+12+16)"),
    *("32PSK", "16ASK", "4ASK (unipolar)", "pi/2-DBPSK", "pi/4-DQPSK", "OQPSK"),
)
"""Thirteen that are on the air and outside the thesis's nine: what its models must not call by another name."""

CLASS_SETS: Mapping[str, LinearSet] = MappingProxyType({s.name: s for s in (THESIS_9, OTHER_LINEAR)})
"""Class sets by name."""


def class_set(
    names: str | Sequence[str], own: Mapping[str, LinearClass] = MappingProxyType({}), name: str = "own"
) -> LinearSet:
    """Return a named set, or make a set from names of classes and of sets.

    Args:
        names: the name of a set, or names of classes and sets, which are joined in order.
        own: further classes by name; they replace known classes of the same name.
        name: of the new set. If a named set has the same classes, its name is kept.

    Raises:
        AmrqError: a name is not that of a class or set, no name is given, or a class occurs twice.

    Example:
        >>> class_set(["thesis-9", "64QAM"]).names[-2:]
        ('32QAM', '64QAM')
    """
    members: list[LinearClass] = []
    for one in [names] if isinstance(names, str) else names:
        if one in own:
            members.append(own[one])
        elif one in CLASS_SETS:
            members += CLASS_SETS[one].members
        elif one in LINEAR_CLASSES:
            members.append(LINEAR_CLASSES[one])
        else:
            known = printable(", ".join([*CLASS_SETS, *own, *LINEAR_CLASSES]), 2000)
            raise AmrqError(
                f"{printable(one, LONGEST_NAME)!r} is neither a class nor a class set: choose from {known}."
            )
    if not members:
        raise AmrqError("a class set needs at least one class.")
    return called(ClassSet(name, tuple(members)))


def called(classes: LinearSet) -> LinearSet:
    """Return the named set with exactly these classes in this order; otherwise the set itself."""
    return next((known for known in CLASS_SETS.values() if known == classes), classes)
