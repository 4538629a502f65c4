"""Copied, moved and linked projects: what lies in a folder is obeyed only where it belongs."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from postmill import embedded
from postmill.embedded.folder import identity_of, read_state
from postmill.embedded.server import open_with
from postmill.embedded.supervisor_options import Options
from postmill.model.errors import EmbeddedError
from tests.embedded.processes import alive, ask, kill, processes_of, supervisor_of, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.embedded.processes import Opener


def test_a_copy_of_a_running_project_leaves_the_original_alone(project: Path, place: Path) -> None:
    """The copy brought the original's state file along, and removed the original's socket."""
    with embedded.open_server(project) as original:
        ask(original.url, "CREATE TABLE only_here AS SELECT 1 AS one")
        ask(original.url, "CHECKPOINT")
        copy = _copied(project, place / "copy" / ".postmill")
        with embedded.open_server(copy) as other:
            assert other.pid != original.pid
            assert alive(original.pid)
            assert ask(original.url, "SELECT one FROM only_here") == 1
            assert ask(other.url) == 1
        assert ask(original.url) == 1
    assert not processes_of(place)


def test_a_state_file_of_this_folder_removes_only_the_socket_folder_it_made(
    project: Path, place: Path, opener: Callable[..., Opener]
) -> None:
    """A killed supervisor's state names a path; by now another folder, with a server in it, may have it."""
    owner = opener(project)
    owner.url()
    stale = read_state(project / "server.json")
    assert stale is not None
    kill(supervisor_of(project))
    owner.kill()
    until(lambda: not processes_of(project), "server gone")
    stranger = place / "stranger"
    stranger.mkdir()
    (stranger / ".s.PGSQL.5432").touch()
    replace(stale, socket_folder=str(stranger)).write(project / "server.json")
    with embedded.open_server(project):
        assert (stranger / ".s.PGSQL.5432").exists()


def test_a_project_moved_under_its_server_says_so_at_once_and_can_be_stopped(
    project: Path, place: Path, opener: Callable[..., Opener]
) -> None:
    """Each command waited 150 s for a socket that had moved away."""
    running = opener(project)
    running.url()
    moved = place / "moved" / ".postmill"
    moved.parent.mkdir()
    project.rename(moved)
    with pytest.raises(EmbeddedError, match="can't be reached") as caught:
        embedded.open_server(moved)
    assert str(project) in caught.value.why
    assert embedded.status(moved).running
    with embedded.open_server(project) as newcomer:  # another project at the old path
        assert embedded.stop(moved, force=True)
        assert ask(newcomer.url) == 1
        assert (project / "server.json").exists()
    with embedded.open_server(moved) as again:
        assert ask(again.url) == 1


def test_a_copy_by_hard_links_is_refused(project: Path, place: Path) -> None:
    """It shares locks and data with the original: its commands reached the original's server."""
    linked = place / "linked" / ".postmill"
    linked.parent.mkdir()
    with embedded.open_server(project) as original:
        subprocess.run(["cp", "-al", str(project), str(linked)], check=True)
        for command in (embedded.open_server, lambda folder: embedded.stop(folder, force=True)):
            with pytest.raises(EmbeddedError, match="shares its files"):
                command(linked)
        assert ask(original.url) == 1


@pytest.mark.usefixtures("as_root")
def test_a_copied_location_leads_to_no_other_projects_database(place: Path) -> None:
    """The copy sent the original's server SIGINT, or wrote into its database while it was stopped."""
    closed, options = place / "home", Options(system_folder=str(place / "system"))
    closed.mkdir(mode=0o700)
    shop, copy, moved = (closed / name / ".postmill" for name in ("shop", "copy", "moved"))
    with open_with(shop, options) as original:
        shutil.copytree(shop.parent, copy.parent, ignore=shutil.ignore_patterns("control"))
        with pytest.raises(EmbeddedError, match=f"belongs to the project in {shop.parent}"):
            open_with(copy, options)
        assert ask(original.url) == 1
    with pytest.raises(EmbeddedError, match="belongs to"):
        open_with(copy, options)
    shop.parent.rename(moved.parent)
    with open_with(moved, options) as original:
        assert ask(original.url) == 1
    (copy / "location").unlink()
    with open_with(copy, options) as other:
        assert ask(other.url) == 1


@pytest.mark.usefixtures("as_root")
def test_root_follows_no_link_that_lies_in_somebodys_project(place: Path) -> None:
    """The owner of a folder could have root give away whatever file or folder a link in it names."""
    secret, folder = place / "secret", place / "theirs" / ".postmill"
    secret.mkdir(mode=0o700)
    (secret / "file").touch(mode=0o600)
    folder.mkdir(parents=True)
    shutil.chown(folder, "nobody", "nogroup")
    (folder / "socket").symlink_to(secret)
    with embedded.open_server(folder) as server:
        assert ask(server.url) == 1
    for name in ("users", "starting", "supervisor", "postgres.log"):
        (folder / name).unlink()
        (folder / name).symlink_to(secret / "file")
        with pytest.raises(EmbeddedError):
            embedded.open_server(folder)
        (folder / name).unlink()
    for path in (secret, secret / "file"):
        assert path.stat().st_uid == 0


def test_a_link_that_leads_nowhere_is_named(place: Path) -> None:
    """Commands tried for 150 s to make a file in it."""
    (place / ".postmill").symlink_to(place / "nowhere")
    with pytest.raises(EmbeddedError, match="leads nowhere") as caught:
        embedded.open_server(place / ".postmill")
    assert str(place / "nowhere") in caught.value.why


def test_a_folder_behind_a_link_is_the_same_folder(project: Path, place: Path) -> None:
    (place / "link").symlink_to(project.parent)
    with embedded.open_server(project) as first, embedded.open_server(place / "link" / ".postmill") as second:
        assert first.pid == second.pid
    assert identity_of(place / "none") == ""


def test_a_server_whose_folder_was_deleted_is_not_started_elsewhere(
    project: Path, place: Path, opener: Callable[..., Opener]
) -> None:
    """Brought back by its path, a server would open whatever database lies there now."""
    running = opener(project)
    running.url()
    supervisor, server = supervisor_of(project), embedded.status(project).state
    assert server is not None
    project.rename(place / "moved")
    shutil.copytree(place / "moved" / "postgres", project / "postgres")
    kill(server.server_pid)
    until(lambda: not alive(supervisor), "supervisor ended")
    assert not (project / "postgres" / "postmaster.opts").exists() or not processes_of(project / "postgres")


def _copied(source: Path, target: Path) -> Path:
    """As by ``cp -a``, which copies named pipes too."""
    target.parent.mkdir()
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)
    assert (target / "server.json").exists()
    return target
