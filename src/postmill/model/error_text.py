"""The text of a user's exception, whatever it is: its ``__str__`` may raise, and its message may hold what no
encoding takes. Pure.
"""

from __future__ import annotations

import traceback

UNSHOWN = "(its text can't be shown)"


def message_of(error: BaseException) -> str:
    """What the exception says, as text that UTF-8 can hold."""
    try:
        return encodable(str(error))
    except BaseException:
        return UNSHOWN


def summary_of(error: BaseException) -> str:
    """Its type and what it says: ``ValueError: no such page``."""
    return f"{type(error).__name__}: {message_of(error)}".removesuffix(": ")


def traceback_of(error: BaseException) -> str:
    """The whole traceback, causes first."""
    try:
        return encodable("".join(traceback.format_exception(error)))
    except BaseException:
        return f"{type(error).__name__} (its traceback can't be shown)"


def encodable(text: str) -> str:
    """The text with lone surrogates as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
