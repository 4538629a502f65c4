"""What can't be done is refused in words: what, why, what to try. Nothing is left running or half made."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from postmill import embedded
from postmill.embedded import binaries
from postmill.model.errors import EmbeddedError, InvalidOption
from tests.embedded.processes import processes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.embedded.processes import Opener


@pytest.fixture
def mount(place: Path, as_root: None) -> Iterator[Callable[..., Path]]:
    """Mount a small disk of memory; skips where that is not allowed, as in most containers."""
    target = place / "disk"
    target.mkdir()

    def mounted(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(target)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("this system does not let us mount a disk")
        return target

    yield mounted
    subprocess.run(["umount", "--lazy", str(target)], capture_output=True, check=False)


def refusal(folder: Path, **options: object) -> EmbeddedError:
    """The error of opening a server there; also checks that it is whole and nothing was left running."""
    with pytest.raises(EmbeddedError) as caught:
        embedded.open_server(folder, **options)  # type: ignore[arg-type]
    assert caught.value.what
    assert caught.value.why
    assert caught.value.hint
    assert not processes_of(folder)
    return caught.value


def test_another_major_version(project: Path) -> None:
    (project / "postgres" / "PG_VERSION").write_text("17\n")
    error = refusal(project)
    assert "PostgreSQL 18 can't open" in error.what
    assert "PostgreSQL 17 made it" in error.why
    assert "pg_dump" in error.hint
    assert "pg_upgrade" in error.hint


def test_a_folder_that_postgres_made_itself(project: Path) -> None:
    assert "data folder of Postgres itself" in refusal(project / "postgres").what


def test_a_folder_with_something_else_in_it(place: Path) -> None:
    (place / ".postmill" / "postgres").mkdir(parents=True)
    (place / ".postmill" / "postgres" / "notes.txt").write_text("mine")
    assert "was not made by Postmill" in refusal(place / ".postmill").what
    assert (place / ".postmill" / "postgres" / "notes.txt").read_text() == "mine"


def test_a_path_that_is_a_file(place: Path) -> None:
    (place / "file").write_text("")
    assert "can't use the folder" in refusal(place / "file" / ".postmill").what


def test_a_full_disk_when_the_database_is_made(mount: Callable[..., Path]) -> None:
    error = refusal(mount("size=12m") / ".postmill")
    assert "No space left on device" in error.why
    assert "Free some space" in error.hint


def test_a_full_disk_when_the_server_starts(mount: Callable[..., Path], made_once: Path) -> None:
    disk = mount("size=64m")
    subprocess.run(["cp", "-a", str(made_once), str(disk)], check=True)
    subprocess.run(["dd", "if=/dev/zero", f"of={disk / 'filler'}"], capture_output=True, check=False)
    assert "No space left on device" in refusal(disk / made_once.name).why


def test_a_read_only_disk(mount: Callable[..., Path]) -> None:
    error = refusal(mount("ro") / ".postmill")
    assert "Read-only file system" in error.why
    assert "--data" in error.hint


def test_a_folder_that_is_not_ours(place: Path, as_root: None, opener: Callable[..., Opener]) -> None:
    (place / "theirs").mkdir(mode=0o755)
    what, why, hint = opener(place / "theirs" / ".postmill", user="nobody").answer()["error"]
    assert "can't use the folder" in what
    assert "Permission denied" in why
    assert "--data" in hint


def test_a_database_of_another_user(project: Path, as_root: None, opener: Callable[..., Opener]) -> None:
    for path in (project, *project.iterdir()):
        if path.name != "postgres":
            shutil.chown(path, "nobody")
    shutil.chown(project / "postgres", "daemon")
    what, why, _ = opener(project, user="nobody").answer()["error"]
    assert "belongs to another user" in what
    assert "daemon's" in why


def test_a_setting_that_postgres_does_not_know(project: Path) -> None:
    error = refusal(project, settings={"work_memory": "1MB"})
    assert 'unrecognized configuration parameter "work_memory"' in error.why
    assert "[db.settings]" in error.hint


def test_a_value_that_postgres_does_not_take(project: Path) -> None:
    assert 'invalid value for parameter "work_mem"' in refusal(project, settings={"work_mem": "lots"}).why


@pytest.mark.parametrize("name", ["port", "listen_addresses", "hba_file", "Unix_Socket_Directories"])
def test_a_setting_that_is_ours(place: Path, name: str) -> None:
    with pytest.raises(InvalidOption, match="can't be changed"):
        embedded.open_server(place / ".postmill", settings={name: "1"})
    assert not (place / ".postmill").exists()


@pytest.mark.parametrize("name", ["fsync", "synchronous_commit", "full_page_writes"])
def test_durability_is_not_given_up(place: Path, name: str) -> None:
    with pytest.raises(InvalidOption, match="crash"):
        embedded.open_server(place / ".postmill", settings={name: "off"})


def test_a_lasting_database_is_not_opened_as_throwaway(project: Path) -> None:
    assert "not throw-away" in refusal(project, throwaway=True).what
    assert (project / "postgres" / "PG_VERSION").exists()


def test_a_running_throwaway_is_not_opened_as_lasting(place: Path) -> None:
    with (
        embedded.open_server(place / ".postmill", throwaway=True),
        pytest.raises(EmbeddedError, match="already runs"),
    ):
        embedded.open_server(place / ".postmill")


def test_no_folder_given() -> None:
    with pytest.raises(EmbeddedError, match="needs a folder"):
        embedded.open_server()


def test_programs_that_are_not_there(place: Path) -> None:
    assert "does not run" in refusal(place / ".postmill", binaries=place).what


def test_programs_that_are_something_else(place: Path) -> None:
    (place / "postgres").symlink_to("/bin/echo")
    with pytest.raises(EmbeddedError, match="not a Postgres server"):
        binaries.at(place, source="test")


def test_no_programs_at_all(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setattr(binaries, "WHEELS", {"a wheel": ("no_such_package", "bin")})
    monkeypatch.setenv("PATH", str(place))
    with pytest.raises(EmbeddedError, match="No Postgres programs"):
        binaries.find()


def test_a_supervisor_that_dies_without_a_word(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    error = refusal(project)
    assert "without a message" in error.why
    assert str(project / "postgres.log") in error.hint
    assert (project / "postgres.log").stat().st_size
