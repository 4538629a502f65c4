"""The numbers a script can rely on, and which error ends with which.

Documented in ``docs/reference/errors.md``.
"""

from __future__ import annotations

from enum import IntEnum

from postmill.model import errors


class Exit(IntEnum):
    """What the process returns."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    UNREACHABLE = 5
    SCHEMA = 6
    TIMED_OUT = 7
    WARNINGS = 8
    MESSAGE_DEAD = 9
    MESSAGE_CANCELLED = 10
    INTERRUPTED = 130


_BY_ERROR: tuple[tuple[type[errors.PostmillError], Exit], ...] = (
    (errors.InvalidOption, Exit.USAGE),
    (errors.InvalidPayload, Exit.USAGE),
    (errors.NotFound, Exit.NOT_FOUND),
    (errors.Refused, Exit.REFUSED),
    (errors.DatabaseUnavailable, Exit.UNREACHABLE),
    (errors.EmbeddedError, Exit.UNREACHABLE),
    (errors.SchemaMissing, Exit.SCHEMA),
    (errors.SchemaTooNew, Exit.SCHEMA),
    (errors.TimedOut, Exit.TIMED_OUT),
    (errors.MessageDead, Exit.MESSAGE_DEAD),
    (errors.MessageCancelled, Exit.MESSAGE_CANCELLED),
    (errors.RunFailed, Exit.MESSAGE_DEAD),
    (errors.RunCancelled, Exit.MESSAGE_CANCELLED),
)


def exit_code(error: errors.PostmillError) -> Exit:
    """The exit code of an error; those without one of their own are 1."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), Exit.FAILED)
