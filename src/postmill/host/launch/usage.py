"""What processes have used so far, read from /proc. Where there is none (macOS), only time is measured."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PARENT, _USER, _SYSTEM, _USER_OF_CHILDREN, _SYSTEM_OF_CHILDREN, _RSS = 1, 11, 12, 13, 14, 21
"""Fields of /proc/<pid>/stat, counted from the state."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One process, or several together."""

    cpu_s: float = 0.0
    memory_bytes: int = 0

    def plus(self, other: Measured) -> Measured:
        """Both together."""
        return Measured(self.cpu_s + other.cpu_s, self.memory_bytes + other.memory_bytes)


def measure(pid: int) -> Measured | None:
    """One process with the children it has waited for; None when it is gone."""
    fields = _stat(str(pid))
    return None if fields is None else _measured(fields)


def descendants(roots: set[int]) -> dict[int, Measured]:
    """What the living descendants of each root use together. Reads all of /proc: not for every moment."""
    parents: dict[int, int] = {}
    used: dict[int, Measured] = {}
    with suppress(OSError):
        for name in os.listdir("/proc"):  # noqa: PTH208 - names only
            fields = _stat(name) if name.isdigit() else None
            if fields is not None:
                parents[int(name)] = int(fields[_PARENT])
                used[int(name)] = _measured(fields)
    sums: dict[int, Measured] = {}
    for pid, measured in used.items():
        root = parents[pid]
        while root not in roots and root in parents:
            root = parents[root]
        if root in roots:
            sums[root] = sums.get(root, Measured()).plus(measured)
    return sums


def _stat(pid: str) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def _measured(fields: list[str]) -> Measured:
    ticks = sum(int(fields[place]) for place in (_USER, _SYSTEM, _USER_OF_CHILDREN, _SYSTEM_OF_CHILDREN))
    return Measured(ticks / _TICKS, int(fields[_RSS]) * _PAGE)
