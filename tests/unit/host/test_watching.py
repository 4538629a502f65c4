"""What has changed is found by path: links, folders that come again and odd times included."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from postmill.host.watching import LOOK_S, Watch

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "functions"
    folder.mkdir()
    (folder / "hello.py").write_text("1")
    return folder


def test_what_comes_goes_or_changes_is_told_once(folder: Path) -> None:
    watch = Watch(lambda: [folder])
    assert watch.changed() == set()
    (folder / "new.py").write_text("")
    (folder / "hello.py").unlink()
    (folder / ".env").write_text("A=1")
    (folder / "data.csv").write_text("")
    assert watch.changed() == {folder / "new.py", folder / "hello.py", folder / ".env"}
    assert watch.changed() == set()


def test_a_folder_that_is_made_again_is_followed(folder: Path) -> None:
    """A checkout of another branch removes the folder; the kernel's notifications end with its inode."""
    watch = Watch(lambda: [folder])
    (folder / "hello.py").unlink()
    folder.rmdir()
    assert watch.changed() == {folder / "hello.py"}
    folder.mkdir()
    (folder / "hello.py").write_text("1")
    assert watch.changed() == {folder / "hello.py"}


def test_what_lies_behind_links_is_seen_through_them(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "real.py").write_text("1")
    (folder / "linked.py").symlink_to(tmp_path / "real.py")
    watch = Watch(lambda: [folder])
    (tmp_path / "real.py").write_text("22")
    assert watch.changed() == {folder / "linked.py"}
    (tmp_path / "library").mkdir()
    (folder / "_late").symlink_to(tmp_path / "library")
    assert watch.changed() == set()
    (tmp_path / "library" / "m.py").write_text("")
    assert watch.changed() == {folder / "_late" / "m.py"}


def test_a_link_that_turns_to_another_file_is_a_change(folder: Path, tmp_path: Path) -> None:
    for release in ("one", "two"):
        (tmp_path / release).mkdir()
        (tmp_path / release / "hello.py").write_text("same")
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "one")
    watch = Watch(lambda: [link])
    link.unlink()
    link.symlink_to(tmp_path / "two")
    assert watch.changed() == {link / "hello.py"}


def test_links_in_a_circle_end(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "up").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    watch = Watch(lambda: [folder])
    (folder / "inner" / "m.py").write_text("")
    assert watch.changed() == {folder / "inner" / "m.py"}


def test_a_change_that_keeps_size_and_time_is_seen(folder: Path) -> None:
    """Tools that copy with times can leave both as they were."""
    watch = Watch(lambda: [folder])
    before = (folder / "hello.py").stat()
    (folder / "hello.py").write_text("2")
    os.utime(folder / "hello.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert watch.changed() == {folder / "hello.py"}


def test_environments_and_caches_are_left_out(folder: Path) -> None:
    for name in ("venv", ".hidden", "node_modules", "__pycache__"):
        (folder / name).mkdir()
    (folder / "venv" / "pyvenv.cfg").touch()
    watch = Watch(lambda: [folder])
    for name in ("venv", ".hidden", "node_modules", "__pycache__"):
        (folder / name / "m.py").touch()
    assert watch.changed() == set()


def test_single_files_may_come_later_and_their_folder_too(tmp_path: Path) -> None:
    place = tmp_path / "elsewhere" / "variables"
    watch = Watch(lambda: [place])
    assert watch.changed() == set()
    place.parent.mkdir()
    place.write_text("A=1")
    assert watch.changed() == {place}


def test_many_files_are_looked_at_less_often(folder: Path) -> None:
    watch = Watch(lambda: [folder])
    assert watch.pause_s == LOOK_S
    watch.took_s = 1.0
    assert watch.pause_s > 10 * LOOK_S


def test_a_folder_deeper_than_python_can_call_is_looked_at(tmp_path: Path) -> None:
    """Every look ended in a RecursionError then, and no change was seen any more."""
    folder, limit, low = tmp_path, sys.getrecursionlimit(), 300
    for _ in range(low):
        folder = folder / "d"
        folder.mkdir()
    watch = Watch(lambda: [tmp_path])
    (folder / "deep.py").write_text("")
    sys.setrecursionlimit(low)
    try:
        changed = watch.changed()
    finally:
        sys.setrecursionlimit(limit)
    assert changed == {folder / "deep.py"}
