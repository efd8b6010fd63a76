# SPDX-License-Identifier: GPL-3.0-or-later
"""A number with a name, as monitoring programs collect them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Metric"]


@dataclass(frozen=True)
class Metric:
    """What Prometheus calls a metric family.

    Attributes:
        name: letters, digits and underscores, with its unit; a counter's ends with `_total`.
        kind: a counter only grows while its program runs, a gauge goes up and down.
        description: one sentence.
        samples: (labels, value), one for each set of labels.
    """

    name: str
    kind: Literal["counter", "gauge"]
    description: str
    samples: Iterable[tuple[Mapping[str, str], float]] = field(default=())

    def text(self) -> str:
        """Return it in Prometheus's text exposition format, version 0.0.4, with the final line feed."""
        lines = [f"# HELP {self.name} {_escaped(self.description)}", f"# TYPE {self.name} {self.kind}"]
        for labels, value in self.samples:
            pairs = ",".join(f'{label}="{_escaped(text, quotes=True)}"' for label, text in labels.items())
            lines.append(
                f"{self.name}{{{pairs}}} {_number(value)}" if pairs else f"{self.name} {_number(value)}"
            )
        return "\n".join(lines) + "\n"


def _escaped(text: str, quotes: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def _number(value: float) -> str:
    # Python's inf and nan are spelled as Go reads them: case does not matter to it.
    return str(value)
