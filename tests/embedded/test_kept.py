"""``start_detached`` keeps a server up without users until ``stop``, and ``status`` looks at it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from postmill import embedded
from postmill.model.errors import Refused
from tests.embedded.processes import alive, ask, kill, processes_of, supervisor_of, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.embedded.processes import Opener


@pytest.fixture
def kept(project: Path) -> Iterator[embedded.Status]:
    """A kept server."""
    yield embedded.start_detached(project)
    embedded.stop(project, force=True)


def test_it_stays_without_users_and_goes_when_told(project: Path, kept: embedded.Status) -> None:
    assert kept.state
    assert kept.state.kept
    with embedded.open_server(project) as server:
        assert server.url == kept.state.url
    assert ask(kept.state.url) == 1
    assert embedded.stop(project)
    assert not processes_of(project)
    assert not embedded.stop(project)


def test_a_shared_server_can_be_kept_later(project: Path, opener: Callable[..., Opener]) -> None:
    user = opener(project)
    url = user.url()
    embedded.start_detached(project)
    user.kill()
    assert ask(url) == 1
    assert embedded.stop(project)


def test_stop_does_not_cut_others_unless_told_to(project: Path, opener: Callable[..., Opener]) -> None:
    opener(project).url()
    with pytest.raises(Refused, match="in use"):
        embedded.stop(project)
    assert embedded.status(project).running
    assert embedded.stop(project, force=True)
    assert not embedded.status(project).running


def test_a_refused_stop_lets_the_server_end_with_its_users(
    project: Path, opener: Callable[..., Opener]
) -> None:
    user = opener(project)
    user.url()
    with pytest.raises(Refused):
        embedded.stop(project)
    user.close()
    assert not processes_of(project)


def test_a_kept_server_is_restarted_when_killed(kept: embedded.Status, project: Path) -> None:
    assert kept.state
    killed = kept.state.server_pid
    kill(killed)
    until(lambda: _server_pid(project) not in {0, killed}, "server restarted")
    assert embedded.status(project).state.kept  # type: ignore[union-attr]
    assert ask(kept.state.url) == 1


def test_status_of_a_killed_server_is_not_running(kept: embedded.Status, project: Path) -> None:
    """The file it left says otherwise, and its process id may be somebody else's by now."""
    assert kept.state
    server = kept.state.server_pid
    kill(supervisor_of(project))
    until(lambda: not alive(server), "server gone")
    assert (project / "server.json").exists()
    assert not embedded.status(project).running
    assert not embedded.stop(project)


def test_status_of_a_folder_that_is_not_there(place: Path) -> None:
    assert not embedded.status(place / "none").running
    assert not (place / "none").exists()


def test_a_supervisor_ends_on_sigterm(kept: embedded.Status, project: Path) -> None:
    assert kept.state
    os.kill(kept.state.supervisor_pid, signal.SIGTERM)
    until(lambda: not processes_of(project), "stopped by a signal")
    assert not (project / "postgres" / "postmaster.pid").exists()


def _server_pid(project: Path) -> int:
    state = embedded.status(project).state
    return state.server_pid if state else 0
