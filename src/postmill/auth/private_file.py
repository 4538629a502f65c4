"""JSON files that only their owner may read. Written whole or not at all; never follows what somebody else
put in their place.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postmill.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

MODE = 0o600


def read(path: Path) -> dict[str, Any] | None:
    """What is in the file; None when there is none.

    Raises :class:`Refused` when other users may read it, or when it is not one JSON object.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{path} can't be read.", why=f"{error.strerror}.") from error
    if mode & 0o077:
        raise Refused(
            f"{path} is not used.",
            why=f"Its mode is {mode:o}: others than its owner can get at it.",
            hint=f"Run: chmod 600 {path}. Was it open to others for long? Then make new keys.",
        )
    return _parsed(path, content)


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Replaces the file, with mode 0600 from its first byte on. Raises :class:`Refused` when that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                os.fchmod(descriptor, MODE)
                json.dump(content, file, indent=1)
                file.write("\n")
                file.flush()
                os.fsync(descriptor)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Refused(f"{path} can't be written.", why=f"{error.strerror}.") from error


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refused(
            f"{path} can't be used.", why="It is not one JSON object.", hint="Restore or remove it."
        )
    return found
