"""A throw-away server leaves nothing: not at its end, nor after kill -9 of its owner or a failed start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from postmill import embedded
from postmill.model.errors import EmbeddedError
from tests.embedded.processes import ask, processes_of, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.embedded.processes import Opener


def test_it_needs_no_folder_and_leaves_none() -> None:
    with embedded.open_server(throwaway=True) as server:
        assert ask(server.url, "SHOW fsync") == "off"
        folder = server.data_dir
    assert not folder.exists()
    assert not processes_of(folder)


def test_it_goes_with_its_files_when_its_owner_is_killed(place: Path, opener: Callable[..., Opener]) -> None:
    owner = opener(place / "db", throwaway=True)
    owner.url()
    owner.kill()
    until(lambda: not (place / "db").exists(), "files gone")
    until(lambda: not processes_of(place), "processes gone")


def test_what_lies_beside_it_stays(place: Path) -> None:
    (place / "notes.txt").write_text("mine")
    with embedded.open_server(place, throwaway=True):
        pass
    assert [path.name for path in place.iterdir()] == ["notes.txt"]


def test_a_failed_start_leaves_nothing(place: Path) -> None:
    with pytest.raises(EmbeddedError):
        embedded.open_server(place / "db", throwaway=True, settings={"work_memory": "1MB"})
    assert not (place / "db").exists()


def test_it_can_be_opened_again_right_away(place: Path) -> None:
    """Whoever waits for a stopping server finds its folder deleted, and makes another."""
    for _ in range(2):
        with embedded.open_server(place / "db", throwaway=True) as server:
            ask(server.url, "CREATE TABLE seen ()")
