"""A server lives exactly as long as its last user, whichever way that user ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from postmill import embedded
from tests.embedded.processes import alive, ask, kill, processes_of, supervisor_of, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.embedded.processes import Opener


def test_the_second_attaches_and_the_last_one_out_stops_it(
    project: Path, opener: Callable[..., Opener]
) -> None:
    first, second = opener(project), opener(project)
    address = first.answer()
    assert second.answer() == address
    first.close()
    assert ask(address["url"]) == 1
    second.close()
    assert not processes_of(project)


def test_five_at_once_on_an_empty_folder_start_one_server(place: Path, opener: Callable[..., Opener]) -> None:
    openers = [opener(place / ".postmill", throwaway=True) for _ in range(5)]
    answers = [each.answer() for each in openers]
    assert all(answer == answers[0] for answer in answers)
    assert ask(answers[0]["url"]) == 1


def test_the_server_goes_when_its_owner_is_killed(project: Path, opener: Callable[..., Opener]) -> None:
    owner = opener(project)
    owner.url()
    owner.kill()
    until(lambda: not processes_of(project), "server gone after its owner was killed")


def test_the_server_stays_for_another_user_when_its_owner_is_killed(
    project: Path, opener: Callable[..., Opener]
) -> None:
    owner, other = opener(project), opener(project)
    url = owner.url()
    other.url()
    owner.kill()
    with embedded.open_server(project) as server:
        assert server.url == url
    other.close()
    assert not processes_of(project)


def test_a_start_whose_owner_is_killed_leaves_nothing_running(
    place: Path, opener: Callable[..., Opener]
) -> None:
    folder = place / ".postmill"
    owner = opener(folder)
    until((folder / "postgres.unfinished").exists, "initdb under way")
    owner.kill()
    until(lambda: not processes_of(place), "half-started server gone")
    with embedded.open_server(folder) as server:
        assert ask(server.url) == 1


def test_two_shares_in_one_process_count_twice(project: Path) -> None:
    first, second = embedded.open_server(project), embedded.open_server(project)
    assert first.pid == second.pid
    first.close()
    assert ask(second.url) == 1
    second.close()
    second.close()
    assert not processes_of(project)


def test_ctrl_c_in_the_terminal_reaches_the_owner_only(project: Path, opener: Callable[..., Opener]) -> None:
    owner = opener(project)
    url = owner.url()
    with embedded.open_server(project):
        os.killpg(owner.process.pid, signal.SIGINT)
        owner.close()
        assert ask(url) == 1


def test_a_server_is_not_its_openers_child(project: Path) -> None:
    """A worker that runs for months would otherwise keep a dead child for each stopped server."""
    with embedded.open_server(project):
        supervisor = supervisor_of(project)
        assert os.getsid(supervisor) != os.getsid(0)
        assert _parent(supervisor) != os.getpid()


def test_the_supervisor_holds_no_descriptor_of_its_opener(project: Path, place: Path) -> None:
    with (place / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        with embedded.open_server(project) as server:
            for pid in (supervisor_of(project), server.pid):
                assert str(place / "secret") not in _open_files(pid)


def test_postgres_itself_holds_the_lock_on_its_data(project: Path) -> None:
    with embedded.open_server(project) as server:
        assert str(project / "lock") in _open_files(server.pid)


def test_a_killed_supervisor_takes_its_server_along_and_the_next_one_starts(project: Path) -> None:
    with embedded.open_server(project) as server:
        pid = server.pid
        kill(supervisor_of(project))
        with embedded.open_server(project) as again:
            assert not alive(pid)
            assert ask(again.url) == 1


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def _open_files(pid: int) -> set[str]:
    return {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}


def test_what_the_server_has_written_down_comes_back_when_it_is_lost(
    project: Path, opener: Callable[..., Opener]
) -> None:
    """A full disk under another program, or a cleaner, left openers waiting for two minutes."""
    owner = opener(project)
    url = owner.url()
    for damage in (b'{"supervisor_pid": 1', b"", b"[" * 100_000):
        (project / "server.json").write_bytes(damage)
        with embedded.open_server(project) as server:
            assert server.url == url
    (project / "server.json").unlink()
    with embedded.open_server(project) as server:
        assert server.url == url
    owner.close()
    assert not processes_of(project)
