# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this processor adds products of bytes without an error."""

from functools import lru_cache
from pathlib import Path

__all__ = ["exact_products"]

_CPUINFO = Path("/proc/cpuinfo")
_INSTRUCTIONS = {"avx512_vnni", "avx_vnni"}


@lru_cache(maxsize=1)
def exact_products() -> bool:
    """Return whether the processor has VNNI, whose sums of products of bytes have 32 bits throughout.

    Older x86 processors add two products in 16 bits first, which can overflow; where the system does not tell, this one
    is taken for such a one.
    """
    try:
        lines = _CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    flags = [set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")]
    return bool(flags) and all(_INSTRUCTIONS & mine for mine in flags)
