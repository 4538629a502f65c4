"""Fixtures every test may use: a database of its own on the shared server, or a server of its own."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest
import pytest_asyncio

from postmill.handlers.sender import sending_to
from tests import properties, servers

_ = properties  # loads the profile of property tests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import asyncpg
    from psycopg.rows import DictRow, TupleRow

    from postmill.embedded import Server
    from postmill.embedded.binaries import Binaries


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgres", type=int, default=18, metavar="VERSION", help="major version to test on: 15 to 18"
    )


def pytest_configure() -> None:
    """Folders of tests lie in memory too: an embedded server that keeps its data waits for the disk at each
    step, and its first start took 5 s instead of 1 s.

    Signals have their defaults, as in a terminal: under nohup, or behind a shell's ``&``, every process of a
    test would ignore them.
    """
    tempfile.tempdir = os.environ["TMPDIR"] = str(servers.place())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_finish() -> None:
    """What has been loaded stays to the end: a search for garbage that goes through it too takes 0.3 s."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_database_of_another_test() -> Iterator[None]:
    """What ran in this process has told it of a database that is gone by now: later tests sent there."""
    with sending_to(None):
        yield


@pytest.fixture(scope="session")
def postgres_binaries(request: pytest.FixtureRequest) -> Binaries:
    """The programs of the version that ``--postgres`` names."""
    return servers.binaries_of(request.config.getoption("--postgres"))


@pytest.fixture(scope="session")
def shared_server(postgres_binaries: Binaries) -> Iterator[Server]:
    """The server of the whole run, with the migrated template database."""
    with servers.shared_server(_run(), postgres_binaries) as server:
        yield server


def _run() -> str:
    """What all processes of a run have in common."""
    return os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))


@pytest.fixture(scope="session")
def administrator(shared_server: Server) -> Iterator[psycopg.Connection[TupleRow]]:
    """The session that makes and drops the databases of this process's tests."""
    with closing(psycopg.connect(shared_server.url, autocommit=True)) as connection:
        yield connection


@pytest.fixture
def database_url(shared_server: Server, administrator: psycopg.Connection[TupleRow]) -> Iterator[str]:
    """The address of a migrated database that only this test uses."""
    with servers.cloned_by(administrator, shared_server.url) as url:
        yield url


@pytest.fixture
def db(database_url: str) -> Iterator[psycopg.Connection[DictRow]]:
    """A connection to the test's database: autocommit, rows as dicts, ``$1`` placeholders."""
    with servers.session(database_url) as connection:
        yield connection


@pytest_asyncio.fixture
async def adb(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """An asyncpg connection to the test's database."""
    async with servers.async_session(database_url) as connection:
        yield connection


@pytest.fixture(scope="session")
def migrated_cluster(postgres_binaries: Binaries, shared_server: Server) -> Path:
    """The files of a migrated server that is down."""
    return servers.migrated_cluster(_run(), postgres_binaries, shared_server.url)


@pytest.fixture
def server(postgres_binaries: Binaries, migrated_cluster: Path) -> Iterator[servers.PrivateServer]:
    """A running, migrated server of this test's own, to be hurt."""
    with closing(servers.PrivateServer(postgres_binaries, cluster=migrated_cluster)) as private:
        private.start()
        yield private
