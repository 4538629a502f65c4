"""Root hands the server to a user without privileges and opens no folder for it; a normal user keeps it."""

from __future__ import annotations

import pwd
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from postmill.embedded import account as accounts
from postmill.embedded import binaries, runtime
from postmill.embedded.presence import status
from postmill.embedded.server import open_with
from postmill.embedded.supervisor_options import Options
from postmill.model.errors import EmbeddedError
from tests.embedded.processes import ask, processes_of, supervisor_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.embedded.processes import Opener

pytestmark = pytest.mark.usefixtures("as_root")


def test_the_server_of_root_runs_without_privileges(project: Path) -> None:
    with open_with(project, Options()) as server:
        assert _runs_as(server.pid) == pwd.getpwnam("nobody").pw_uid
        assert _runs_as(supervisor_of(project)) == 0


def test_a_normal_user_runs_everything_alone(place: Path, opener: Callable[..., Opener]) -> None:
    shutil.chown(place, "nobody", "nogroup")
    folder = place / "of a user" / ".postmill"
    first, second = opener(folder, user="nobody"), opener(folder, user="nobody")
    assert first.answer() == second.answer()
    owners = {owner for pid in processes_of(folder) if (owner := _runs_as(pid)) is not None}
    assert owners == {pwd.getpwnam("nobody").pw_uid}
    first.close()
    second.kill()
    again = opener(folder, user="nobody")
    assert again.answer()["url"]
    again.close()
    assert not processes_of(folder)


def test_a_users_project_stays_theirs_after_root_was_there(
    place: Path, opener: Callable[..., Opener]
) -> None:
    shutil.chown(place, "nobody", "nogroup")
    with open_with(place / ".postmill", Options()) as server:
        ask(server.url, "CREATE TABLE made_by_root AS SELECT 42 AS answer")
    theirs = opener(place / ".postmill", user="nobody")
    assert ask(theirs.url(), "SELECT answer FROM made_by_root") == 42


def test_a_closed_project_has_its_data_in_a_system_place(place: Path) -> None:
    closed, system = place / "home", place / "system"
    closed.mkdir(mode=0o700)
    options = Options(system_folder=str(system))
    with open_with(closed / "project" / ".postmill", options) as server:
        ask(server.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    written = (closed / "project" / ".postmill" / "location").read_text().strip()
    assert written.startswith(f"{system}/postmill-project-")
    assert closed.stat().st_mode & 0o777 == 0o700
    with open_with(closed / "project" / ".postmill", options) as server:
        assert ask(server.url, "SELECT answer FROM kept") == 42
    assert not processes_of(place)


def test_a_location_that_is_gone_is_not_replaced_by_an_empty_database(place: Path) -> None:
    folder = place / ".postmill"
    folder.mkdir()
    (folder / "location").write_text(f"{place}/postmill-gone\n")
    with pytest.raises(EmbeddedError, match="missing") as caught:
        open_with(folder, Options())
    assert str(folder / "location") in caught.value.hint


def test_a_location_that_is_not_ours_is_not_believed(place: Path) -> None:
    """The file comes with the project, and a project may come from anybody."""
    folder = place / ".postmill"
    folder.mkdir()
    (folder / "location").write_text("/etc\n")
    with pytest.raises(EmbeddedError, match="not made by Postmill"):
        open_with(folder, Options())


def test_programs_in_a_closed_folder_are_copied_once(place: Path) -> None:
    closed, system = place / "closed", place / "system"
    ours = binaries.find()
    package = ours.prefix.parent
    closed.mkdir(mode=0o700)
    shutil.copytree(ours.prefix, closed / package.name / ours.prefix.name)
    shutil.copytree(package.with_name(f"{package.name}.libs"), closed / f"{package.name}.libs")
    options = Options(
        binaries=str(closed / package.name / ours.prefix.name / "bin"),
        throwaway=True,
        system_folder=str(system),
    )
    with open_with(place / "one", options) as server:
        assert ask(server.url) == 1
    copies = list(system.iterdir())
    with open_with(place / "two", options) as server:
        assert ask(server.url) == 1
    assert list(system.iterdir()) == copies
    assert [copy.name.split("-")[0] for copy in copies] == ["runtime"]
    assert closed.stat().st_mode & 0o777 == 0o700


def test_a_copy_that_fails_leaves_nothing_half_done(place: Path) -> None:
    closed = place / "closed"
    (closed / "pg" / "bin").mkdir(parents=True)
    closed.chmod(0o700)
    (closed / "pg" / "bin" / "postgres").write_text("no initdb beside it")
    found = binaries.Binaries(bin=closed / "pg" / "bin", version="18.0", source="test")
    with pytest.raises(FileNotFoundError):
        runtime.readable(found, accounts.server_account(place / "none", place), place / "system")
    assert list((place / "system").iterdir()) == []


def test_a_system_without_an_unprivileged_user(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setattr(accounts, "CANDIDATES", ("no-such-user",))
    with pytest.raises(EmbeddedError, match="refuses to run as root"):
        accounts.server_account(place / "cluster", place)
    assert not status(place).running


def _runs_as(pid: int) -> int | None:
    """The user; None: the process has ended, as each backend of the server does."""
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except FileNotFoundError:
        return None
