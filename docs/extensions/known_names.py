# SPDX-License-Identifier: GPL-3.0-or-later
"""Types of other projects are not looked for among the objects of this one: it takes a sixth of a build.

Each type in a signature is a reference. Sphinx compares one that it does not know with the end of every object's name.
"""

from typing import Any

from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain

__all__ = ["KnownNames", "setup"]


class KnownNames(PythonDomain):
    """Python's domain, which finds the same objects."""

    def find_obj(self, env: Any, modname: str, classname: str, name: str, *rest: Any) -> Any:
        """Find a Python object by its name: none, where no object's name has the same last part."""
        if name.removesuffix("()").rpartition(".")[2] not in self._last_parts():
            return []
        return super().find_obj(env, modname, classname, name, *rest)

    def _last_parts(self) -> set[str]:
        """Return the last parts of all names; they are collected again when there are more of them."""
        count, parts = getattr(self, "_collected", (-1, set()))
        if count != len(self.objects):
            parts = {known.rpartition(".")[2] for known in self.objects}
            self._collected = (len(self.objects), parts)
        return parts


def setup(app: Sphinx) -> dict[str, bool]:
    """Take the place of Python's domain."""
    app.add_domain(KnownNames, override=True)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
