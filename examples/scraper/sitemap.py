"""Which pages the demo's site has: folders and Python files of this Python, a bounded number of them.

Pure but for looking at the folders; it serves nothing and opens no file.
"""

from __future__ import annotations

import sysconfig
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from examples.scraper import trouble

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SKIPPED = frozenset({"__pycache__", "site-packages", "dist-packages"})
LARGEST_FILE = 1_000_000  # bytes


@dataclass(slots=True)
class SiteMap:
    """Every page by its URL path: folders with the links they list, and files."""

    folders: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.folders) + len(self.files) + len(trouble.PAGES)

    def add(self, parent: str, path: Path) -> str:
        """List ``path`` on its parent's page, and return its own URL path."""
        url = parent + quote(path.name) + ("/" if path.is_dir() else "")
        self.folders[parent].append(url)
        if path.is_dir():
            self.folders[url] = []
        else:
            self.files[url] = path
        return url


def this_python() -> dict[str, Path]:
    """The two folders that every Python has: its library, and the packages installed in it."""
    return {
        "/library/": Path(sysconfig.get_path("stdlib")),
        "/packages/": Path(sysconfig.get_path("purelib")),
    }


def build(roots: Mapping[str, Path], *, pages: int) -> SiteMap:
    """The site with at most ``pages`` pages in all: trouble first, then the shallow ones."""
    site = SiteMap()
    site.folders["/"] = [trouble.FOLDER, *roots]
    site.folders[trouble.FOLDER] = list(trouble.PAGES)
    site.folders.update({url: [] for url in roots})
    waiting = deque(roots.items())
    while waiting and len(site) < pages:
        parent, folder = waiting.popleft()
        for path in _worth_listing(folder):
            if len(site) >= pages:
                break
            url = site.add(parent, path)
            if path.is_dir():
                waiting.append((url, path))
    return site


def _worth_listing(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:  # a folder that this user may not read
        return
    for path in entries:
        if path.name in SKIPPED or path.name.startswith("."):
            continue
        if path.is_dir():
            if not path.is_symlink():  # a link to a parent would never end
                yield path
        elif path.suffix == ".py" and path.is_file() and path.stat().st_size <= LARGEST_FILE:
            yield path
