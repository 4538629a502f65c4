"""From a folder to a server: empty or used, whatever its path looks like."""

from __future__ import annotations

from pathlib import Path

import pytest

from postmill import embedded
from tests.embedded.processes import ask, ask_asyncpg, processes_of


@pytest.fixture
def moved(project: Path, request: pytest.FixtureRequest) -> Path:
    """A data folder with a database, in a folder of the wanted name."""
    parent = project.parent / str(request.param)
    parent.mkdir()
    return project.rename(parent / ".postmill")


async def test_an_empty_folder_becomes_a_database(place: Path) -> None:
    with embedded.open_server(place / ".postmill") as server:
        assert ask(server.url, "SELECT current_database()") == "postmill"
        assert ask(server.url, "SELECT current_user") == "postgres"
        assert ask(server.url, "SHOW server_encoding") == "UTF8"
        assert server.version.startswith("18.")
        assert ask(server.url, "SELECT lower('ÄÖ')") == "äö"
    assert not processes_of(place)


def test_twice_in_a_row_keeps_the_data(project: Path) -> None:
    with embedded.open_server(project) as server:
        ask(server.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    with embedded.open_server(project) as server:
        assert ask(server.url, "SELECT answer FROM kept") == 42


@pytest.mark.parametrize(
    "moved",
    ["two words", "100% of a+b", "quote'and\"quote", "ünï", "a,b", "a=b&c", "hash#query?", "l" * 120],
    indirect=True,
)
async def test_any_path_works_with_both_drivers(moved: Path) -> None:
    with embedded.open_server(moved) as server:
        assert ask(server.url) == 1
        assert await ask_asyncpg(server.url) == 1


def test_a_long_path_leaves_no_socket_folder_behind(project: Path) -> None:
    with embedded.open_server(project.rename(project.parent / ("l" * 120))) as server:
        sockets = ask(server.url, "SHOW unix_socket_directories").strip('"')
        assert Path(sockets).stat().st_mode & 0o777 == 0o700
    assert not Path(sockets).exists()


def test_only_the_owner_reaches_the_socket(project: Path) -> None:
    with embedded.open_server(project) as server:
        sockets = ask(server.url, "SHOW unix_socket_directories").strip('"')
        assert Path(sockets).stat().st_mode & 0o077 == 0
        assert ask(server.url, "SHOW listen_addresses") == ""


def test_a_lasting_server_is_durable(project: Path) -> None:
    with embedded.open_server(project) as server:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            assert ask(server.url, f"SHOW {name}") == "on"


def test_settings_reach_the_server(project: Path) -> None:
    with embedded.open_server(project, settings={"work_mem": "7MB"}) as server:
        assert ask(server.url, "SHOW work_mem") == "7MB"


def test_the_callers_postgres_variables_do_not_leak_in(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=1MB")
    with embedded.open_server(project) as server:
        monkeypatch.delenv("PGOPTIONS")
        assert ask(server.url, "SHOW work_mem") == "16MB"
