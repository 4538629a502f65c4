"""Text from elsewhere reaches a terminal without what a terminal obeys."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from postmill.cli.terminal import text as terminal_text
from postmill.cli.terminal import top_frame, top_view
from postmill.cli.terminal.failure import report
from postmill.cli.terminal.log_lines import JsonLines, TextLines
from postmill.cli.terminal.output import Output
from postmill.model.errors import PostmillError

HOSTILE = "a\x1b]0;title\x07\x1b[2J\x9b31mb\r\x08\u202ec\u2028d\x7f\x00"
OBEYED = "\x1b\x07\x9b\r\x08\u202e\u2028\x7f\x00"


def is_safe(text: str) -> bool:
    return not set(text) & set(OBEYED)


def test_what_a_terminal_obeys_is_shown_as_its_escape() -> None:
    assert terminal_text.one_line(HOSTILE) == (
        "a\\x1b]0;title\\x07\\x1b[2J\\x9b31mb\\r\\x08\\u202ec\\u2028d\\x7f\\x00"
    )
    assert terminal_text.lines("a\n\tb\r\n") == "a\n\tb\\r\n"
    assert terminal_text.one_line("a\n\tb") == "a\\n\\tb"
    assert terminal_text.one_line("\ud800\U000e0041") == "\\ud800\\U000e0041"


@pytest.mark.parametrize("text", ["plain", "é 日本 \U0001f468\u200d\U0001f469 עברית", "a\\x1b", '{"a": 1}'])
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert terminal_text.one_line(text) == terminal_text.lines(text) == terminal_text.json_text(text) == text


@pytest.mark.parametrize("value", [HOSTILE, [HOSTILE], {HOSTILE: 1}, 2**70, "\U000e0041"])
def test_json_says_the_same_without_it(value: Any) -> None:
    text = terminal_text.encoded(value)
    assert is_safe(text)
    assert json.loads(text) == value


def test_every_form_of_output_is_safe(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    row = {"queue": HOSTILE, "payload": {"a": HOSTILE}}
    output.rows([row], ("queue", "payload"))
    output.one(row)
    output.note(HOSTILE)
    report(PostmillError(HOSTILE, why=HOSTILE, hint=HOSTILE))
    report(RuntimeError(HOSTILE), debug=True)
    said = capsys.readouterr()
    assert "title" in said.out
    assert "title" in said.err
    assert is_safe(said.out + said.err)


def test_a_row_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Output().rows([{"a": "x\ny\r\tz"}], ("a",), heading=False)
    assert capsys.readouterr().out == "x y\\r z\n"


@pytest.mark.parametrize("formatter", [TextLines(colour=False), JsonLines()])
def test_log_lines_are_safe_whoever_wrote_their_parts(formatter: logging.Formatter) -> None:
    fields = {"function": HOSTILE, "text": HOSTILE, HOSTILE: "x", "traceback": f"line 1\n{HOSTILE}"}
    record = logging.makeLogRecord({"msg": HOSTILE, "levelno": 20, "fields": fields})
    line = formatter.format(record)
    assert "title" in line
    assert is_safe(line)


def test_a_traceback_of_a_log_line_is_safe() -> None:
    error = ValueError(f"{HOSTILE}\n12:34:56.789 host  forged")
    record = logging.makeLogRecord({"msg": "x\ny", "levelno": 20, "exc_info": (ValueError, error, None)})
    text = TextLines(colour=False).format(record)
    assert is_safe(text)
    first, *below = text.splitlines()
    assert first.endswith("x")
    assert below[0] == "    y"
    assert below[-1].startswith("    12:34"), text


def test_top_shows_errors_and_names_safely() -> None:
    row: dict[str, Any] = dict.fromkeys(
        (*top_view.SECTIONS["queues"], *top_view.SECTIONS["failures"]), HOSTILE
    )
    row |= {"error_type": "E", "error_message": HOSTILE, "paused": True}
    frame = top_frame.Frame([row], [], [row])
    assert is_safe("".join(top_view.lines(frame)))
    assert is_safe(str(top_view.screen(frame, said="", width=80, now=datetime.now(UTC))))
