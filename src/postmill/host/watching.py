"""Finds the files that have changed since the last look.

Paths are looked at again and again, through links. The kernel's own notifications follow inodes: they miss a
folder that was removed and made again and the target of a link, and their number is limited for each user.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    _Seen = dict[str, tuple[int, ...]]

LOOK_S = 0.25
"""Seconds between two looks at the files. 0.25 s: a person who has saved a file and turns to the browser
needs about a second.
"""
SHARE = 50
"""After a look, the watch rests 50 times as long as the look took: it uses at most 2 % of a processor,
however many files there are.
"""
VARIABLES = ".env"
_NOT_OURS = frozenset({"__pycache__", "node_modules", "site-packages"})
"""Folders that hold no source of the user's. Neither do those whose names begin with a dot."""
_ENVIRONMENT = "pyvenv.cfg"
"""A folder with this file is a virtual environment: thousands of files that are not edited."""


class Watch:
    """What was under ``places`` at the last look. A place is a file, or a folder of which Python files and
    files of variables count; either may come later.
    """

    def __init__(self, places: Callable[[], Iterable[Path]]) -> None:
        """``places`` is asked at each look."""
        self._places = places
        self._seen = _look(places())
        self.took_s = 0.0
        """How long the last look took."""

    def changed(self) -> set[Path]:
        """The files that have come, gone or changed since the last look. What can't be read is not there."""
        began = time.monotonic()
        before, self._seen = self._seen, _look(self._places())
        self.took_s = time.monotonic() - began
        both = before.keys() | self._seen.keys()
        return {Path(path) for path in both if before.get(path) != self._seen.get(path)}

    @property
    def pause_s(self) -> float:
        """How long to wait before the next look."""
        return max(LOOK_S, self.took_s * SHARE)


def _look(places: Iterable[Path]) -> _Seen:
    seen: _Seen = {}
    for place in places:
        if os.path.isdir(place):  # noqa: PTH112 - never raises
            for path in _files(str(place)):
                _note(seen, path)
        else:
            _note(seen, str(place))
    return seen


def _note(seen: _Seen, path: str) -> None:
    """What tells one content from another. The time of the change of the inode also tells of a file whose
    size and time were put back, and of one that may be read only now.
    """
    with suppress(OSError, ValueError):
        found = os.stat(path)  # noqa: PTH116 - thousands of them
        seen[path] = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)


def _files(top: str) -> Iterator[str]:
    """Below ``top``, through links too. A link to a folder around it is a circle, and not followed. Keeps its
    own list of folders: calls for each level would end at Python's limit.
    """
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [(top, frozenset())]
    while waiting:
        folder, above = waiting.pop()
        try:
            found = os.stat(folder)  # noqa: PTH116
            entries = list(os.scandir(folder))
        except OSError:  # gone meanwhile, or not readable
            continue
        own = (found.st_dev, found.st_ino)
        if own in above or any(entry.name == _ENVIRONMENT for entry in entries):
            continue
        for entry in entries:
            if not _is_folder(entry):
                if entry.name.endswith(".py") or entry.name == VARIABLES:
                    yield entry.path
            elif entry.name not in _NOT_OURS and not entry.name.startswith("."):
                waiting.append((entry.path, above | {own}))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
