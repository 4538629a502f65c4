"""Folders for embedded servers: short paths any user can reach, gone after the test."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from postmill import embedded
from tests.embedded.processes import Opener, delete, kill, processes_of, remove_orphans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty folder with a short path that every user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="pm-test-"))
    folder.chmod(0o755)
    yield folder
    for pid in processes_of(folder):
        kill(pid)
    remove_orphans()
    delete(folder)


@pytest.fixture(scope="session")
def made_once() -> Iterator[Path]:
    """A data folder whose server has run once; tests copy it, which is quicker than another initdb."""
    folder = Path(tempfile.mkdtemp(prefix="pm-made-"))
    folder.chmod(0o755)
    embedded.open_server(folder / ".postmill").close()
    yield folder / ".postmill"
    delete(folder)


@pytest.fixture
def project(place: Path, made_once: Path) -> Path:
    """A data folder with a database, as an earlier run left it."""
    folder = place / ".postmill"
    shutil.copytree(made_once, folder)
    owner = (made_once / "postgres").stat()
    for path in (folder / "postgres", *(folder / "postgres").rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    return folder


@pytest.fixture
def opener() -> Iterator[Callable[..., Opener]]:
    """Start processes that open a server; those still there are closed after the test."""
    with ExitStack() as stack:

        def start(folder: Path, **options: Any) -> Opener:
            process = Opener(folder, **options)
            stack.callback(process.close)
            return process

        yield start


@pytest.fixture
def as_root() -> None:
    """For tests of what only root can do."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it is about what root does")
