"""The text of a user's exception, whatever it is: its ``__str__`` may raise, its message may hold what no
encoding takes, and its traceback may be long. Pure, and nothing here raises.
"""

from __future__ import annotations

import traceback

UNSHOWN = "(its text can't be shown)"
KEPT_TEXT = 8_000
"""Characters of a text that a row keeps. 8,000 are one or two screens. Of a traceback the end is kept, where
the cause stands.
"""
KEPT_SAID = 2_000
"""Characters of what an exception says that its kept traceback has: an SQL error may say its statement, of
megabytes, and the frames before it are what the traceback is for. The message is kept beside it.
"""
KEPT_NAME = 200
"""Characters of a class's name that a row keeps: no real name is longer."""
KEPT_FRAMES = 30
"""Innermost frames of each traceback that a row keeps: 30 frames fill ``KEPT_TEXT``."""


def message_of(error: BaseException) -> str:
    """What the exception says, as text that UTF-8 can hold."""
    try:
        return encodable(str(error))
    except BaseException:
        return UNSHOWN


def summary_of(error: BaseException) -> str:
    """Its type and what it says: ``ValueError: no such page``."""
    return f"{name_of(error)}: {message_of(error)}".removesuffix(": ")


def traceback_of(error: BaseException, frames: int | None = None) -> str:
    """Its traceback, causes first: the last ``frames`` of each, or all."""
    try:
        limit = None if frames is None else -frames
        return encodable("".join(traceback.format_exception(error, limit=limit)))
    except BaseException:
        return f"{name_of(error)} (its traceback can't be shown)"


def name_of(error: BaseException) -> str:
    """The name of its class."""
    try:
        return storable(str(type(error).__name__))[:KEPT_NAME]
    except BaseException:
        return "Exception"


def kept_message(error: BaseException) -> str:
    """What the exception says, as a row of the database keeps it."""
    return storable(message_of(error))[:KEPT_TEXT]


def kept_traceback(error: BaseException) -> str:
    """The end of its traceback, as a row of the database keeps it, with the beginning of what it says."""
    text, said = traceback_of(error, KEPT_FRAMES), message_of(error)
    if len(said) > KEPT_SAID:
        text = text.replace(said, f"{said[:KEPT_SAID]}\u2026", 1)
    return storable(text[-KEPT_TEXT:])[-KEPT_TEXT:]


def encodable(text: str) -> str:
    """The text with lone surrogates as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def storable(text: str) -> str:
    """The text as PostgreSQL can hold it: neither NUL nor lone surrogates."""
    return encodable(text.replace("\x00", "\\x00"))
