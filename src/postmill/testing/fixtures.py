"""Fixtures for pytest. Name this module in the ``conftest.py`` at the root of your tests::

    pytest_plugins = ["postmill.testing.fixtures"]

They are not installed by themselves: a test suite that does not ask for a database starts none.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from postmill.embedded import open_server
from postmill.testing.databases import fresh_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.embedded import Server


@pytest.fixture(scope="session")
def postmill_server() -> Iterator[Server]:
    """A throw-away Postgres for the whole run, shared by the processes of pytest-xdist; gone afterwards."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    folder = Path(tempfile.gettempdir()) / f"postmill-testing-{run}"
    with open_server(folder, throwaway=True) as server:
        yield server


@pytest.fixture
def postmill_database(postmill_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty database with Postmill's schema, for this test alone.

    ``POSTMILL_DB_URL`` is set to it, so that ``task.send`` in the test goes there.
    """
    with fresh_database(postmill_server.url) as url:
        monkeypatch.setenv("POSTMILL_DB_URL", url)
        yield url
