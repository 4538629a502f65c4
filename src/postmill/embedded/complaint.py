"""Turns an error of Postgres or of the system into an error that says what to do. Pure."""

from __future__ import annotations

import re

from postmill.model.errors import EmbeddedError

_WORDS = re.compile(r"(?:FATAL|PANIC|ERROR|error|fatal|could not)[^\n]*")
_HINTS = (
    ("No space left on device", "Free some space, or choose a folder on another disk with --data."),
    ("Disk quota exceeded", "Free some space, or choose a folder on another disk with --data."),
    ("Read-only file system", "Choose a folder that can be written with --data."),
    ("Permission denied", "Choose a folder that belongs to you with --data."),
    ("unrecognized configuration parameter", "Correct the name under [db.settings] in postmill.toml."),
    ("invalid value for parameter", "Correct the value under [db.settings] in postmill.toml."),
    ("Address already in use", "Another program has the port; start again and another one is taken."),
    ("could not create shared memory", "Give the container more shared memory (docker run --shm-size=256m)."),
    ("could not resize shared memory", "Give the container more shared memory (docker run --shm-size=256m)."),
)


def complaint(what: str, output: str) -> EmbeddedError:
    """The error for a program that failed, with the last complaint of its output as the reason."""
    found = [line.strip() for line in _WORDS.findall(output)]
    fatal = [line for line in found if line.startswith(("FATAL", "PANIC"))]
    why = (fatal or found or [output.strip()[-300:]])[-1]
    return EmbeddedError(what, why=why, hint=_hint(output, default="Its log (postgres.log) may say more."))


def refused_by_system(what: str, error: OSError) -> EmbeddedError:
    """The error for a folder or file that the operating system does not let this process use."""
    reason = error.strerror or str(error)
    named = f"{error.filename}: {reason}" if error.filename else reason
    return EmbeddedError(
        what, why=f"{named}.", hint=_hint(reason, default="Choose another folder with --data.")
    )


def _hint(text: str, default: str) -> str:
    return next((hint for sign, hint in _HINTS if sign in text), default)
