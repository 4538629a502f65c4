"""The lab of a run, and a site for each test. Skipped where no machines can be made."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import servers
from tests.fleet import lab as labs
from tests.fleet.postgres import prepare
from tests.fleet.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.embedded.binaries import Binaries
    from tests.fleet.postgres import Prepared


@pytest.fixture(scope="session")
def _machines() -> None:
    if reason := labs.missing():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def prepared(_machines: None, postgres_binaries: Binaries) -> Iterator[Prepared]:
    """The cluster that this process's servers start from."""
    folder = Path(tempfile.mkdtemp(prefix="postmill-lab-", dir=servers.place()))
    with labs.Lab(folder) as lab:
        made = prepare(postgres_binaries, folder, lab.machine("prepare"))
    try:
        yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def site(prepared: Prepared) -> Iterator[Site]:
    """Machines of this test's own."""
    folder = Path(tempfile.mkdtemp(prefix="postmill-site-", dir=servers.place()))
    try:
        with labs.Lab(folder) as lab:
            made = Site(lab, prepared, folder)
            yield made
            made.print_logs()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
