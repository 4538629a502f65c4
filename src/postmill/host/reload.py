"""Says which files of a folder have changed, a moment after the last change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from watchfiles import Change, DefaultFilter, awatch

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

QUIET_MS = 200
"""An editor writes several files at once: changes closer together than this are one."""


class _Relevant(DefaultFilter):
    """Python files and the file of variables."""

    def __call__(self, change: Change, path: str) -> bool:
        """Whether a change counts."""
        return (path.endswith(".py") or Path(path).name == ".env") and super().__call__(change, path)


async def changes(folder: Path, stop: asyncio.Event) -> AsyncIterator[set[Path]]:
    """The files that changed, as they change, until ``stop`` is set."""
    async for found in awatch(folder, watch_filter=_Relevant(), debounce=QUIET_MS, stop_event=stop):
        yield {Path(path) for _, path in found}
