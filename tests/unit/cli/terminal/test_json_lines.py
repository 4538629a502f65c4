"""JSON that somebody typed: complaints name the line, and nothing of the text is changed on its way."""

from __future__ import annotations

import pytest

from postmill.cli.terminal.json_lines import JsonLines, checked
from postmill.model.errors import InvalidPayload
from postmill.model.queue.payload import to_json


def test_empty_lines_are_skipped_and_bytes_are_counted() -> None:
    seen: list[int] = []
    lines = JsonLines([b"1\n", b"\n", b'{"a": 12345678901234567890123}\n'], seen.append)
    assert [bytes(payload) for payload in lines] == [b"1", b'{"a": 12345678901234567890123}']
    assert sum(seen) == 34


def test_a_complaint_names_the_line_that_is_being_sent() -> None:
    lines = JsonLines([b"1\n", b"\n", b"{oops}\n", b"2\n"], lambda _: None)
    with pytest.raises(InvalidPayload, match="Line 3"), lines.placing_errors():
        list(map(to_json, lines))


def test_numbers_keep_their_digits() -> None:
    assert (
        checked(b"12345678901234567890123.4567890123456789", "x")
        == b"12345678901234567890123.4567890123456789"
    )
