"""What a row keeps of an exception's text."""

from __future__ import annotations

import pytest

from postmill.model.error_text import KEPT_TEXT, kept_message, kept_traceback


def refused(said: str) -> ValueError:
    """As it is after it was raised."""
    with pytest.raises(ValueError, match="no such column") as raised:
        raise ValueError(said)
    return raised.value


def test_a_long_message_leaves_the_frames_in_the_traceback() -> None:
    """An SQL error that said its statement, of megabytes, filled the traceback: no frame was left in it."""
    error = refused("no such column in: " + "select 1, \udcff" * 500_000)
    text = kept_traceback(error)
    assert "in refused" in text
    assert "ValueError: no such column in: select 1" in text
    assert text.endswith("\u2026\n")
    assert len(kept_message(error)) == KEPT_TEXT


def test_a_short_message_is_whole_in_it() -> None:
    """The control."""
    said = "no such column" + "x" * 1000
    assert kept_traceback(refused(said)).endswith(f"ValueError: {said}\n")
