# SPDX-License-Identifier: GPL-3.0-or-later
"""A strict reader of Prometheus's text exposition format, version 0.0.4: what it accepts, a collector accepts."""

import re
from dataclasses import dataclass, field

__all__ = ["Family", "read_metrics"]

_HELP = re.compile(r"# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)")
_TYPE = re.compile(r"# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge)")
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


@dataclass
class Family:
    """One metric: its kind, its help, and its values by their labels, as sorted pairs."""

    kind: str
    description: str
    values: dict[tuple[tuple[str, str], ...], float] = field(default_factory=dict)

    def value(self, **labels: str) -> float:
        return self.values[tuple(sorted(labels.items()))]


def _unescaped(text: str) -> str:
    assert not re.search(r'\\(?![\\n"])', text.replace(r"\\", "")), text
    return re.sub(r"\\.", lambda found: _ESCAPES[found[0]], text)


def _labels(text: str) -> tuple[tuple[str, str], ...]:
    found, place = {}, 0
    while place < len(text):
        match = _LABEL.match(text, place)
        assert match, text[place:]
        assert match[1] not in found and not match[1].startswith("__")
        found[match[1]] = _unescaped(match[2])
        place = match.end()
    return tuple(sorted(found.items()))


def read_metrics(text: str) -> dict[str, Family]:
    """Return every metric by its name; anything that is not as it should be fails an assertion.

    Each family is whole: HELP, TYPE, then its samples. Counters end with `_total` and never fall below 0.
    """
    assert text.endswith("\n")
    families: dict[str, Family] = {}
    name, description = "", ""
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            match = _HELP.fullmatch(line)
            assert match and match[1] not in families, line
            name, description = match[1], _unescaped(match[2])
        elif line.startswith("# TYPE "):
            match = _TYPE.fullmatch(line)
            assert match and match[1] == name and name not in families, line
            assert (match[2] == "counter") == name.endswith("_total"), line
            families[name] = Family(match[2], description)
        else:
            match = _SAMPLE.fullmatch(line)
            assert match and match[1] == name and name in families, line
            labels, value = _labels(match[2] or ""), float(match[3])
            assert labels not in families[name].values, line
            assert families[name].kind == "gauge" or value >= 0, line
            families[name].values[labels] = value
    return families
