"""Log lines: one line an event, readable as text, one object as JSON, no password in either."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING

import pytest

from postmill.cli.terminal.log_lines import JsonLines, TextLines, configure, may_colour

if TYPE_CHECKING:
    from collections.abc import Iterator


def record(event: str, level: int = logging.INFO, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("postmill", level, __file__, 1, event, (), None)
    made.fields = fields
    return made


def test_text_names_who_what_and_the_rest() -> None:
    line = TextLines(colour=False).format(
        record("completed", function="scrape", queue="tasks", msg_id=7, duration_ms=12)
    )
    at, _, rest = line.partition(" ")
    assert len(at) == len("12:34:56.789")
    assert rest.split() == ["scrape", "tasks", "completed", "msg_id=7", "duration_ms=12"]


def test_json_is_one_object_with_the_fields() -> None:
    line = JsonLines().format(record("retrying", logging.WARNING, queue="tasks", delay_s=3.0, reason="a\nb"))
    told = json.loads(line)
    assert "\n" not in line
    assert (told["event"], told["level"], told["queue"], told["delay_s"]) == (
        "retrying",
        "warning",
        "tasks",
        3.0,
    )


def test_a_value_with_spaces_stays_one_value() -> None:
    assert (
        TextLines(colour=False).format(record("dead", reason="no\nluck")).endswith(r"dead reason='no\nluck'")
    )


def test_a_traceback_stands_below_its_line() -> None:
    line = TextLines(colour=False).format(
        record("uncaught", traceback="Traceback:\n  here\n", error="KeyError")
    )
    assert line.partition(" ")[2] == "uncaught error=KeyError\nTraceback:\n  here"


@pytest.mark.parametrize("form", [TextLines(colour=False), JsonLines()])
def test_a_line_of_asyncio_without_an_exception_is_shown(form: logging.Formatter) -> None:
    """asyncio gives ``exc_info=False`` then, and the line was a traceback of the formatter."""
    made = logging.LogRecord("asyncio", logging.ERROR, __file__, 1, "Task was destroyed", (), None)
    made.exc_info = False  # type: ignore[assignment]
    line = form.format(made)
    assert "Task was destroyed" in line
    assert "traceback" not in line.lower()


@pytest.mark.parametrize("form", [TextLines(colour=False), JsonLines()])
def test_addresses_are_masked(form: logging.Formatter) -> None:
    assert "hunter2" not in form.format(record("lost", error="postgresql://u:hunter2@h/db is down"))


def test_the_same_function_has_the_same_colour_and_errors_are_red() -> None:
    lines = TextLines(colour=True)
    first, second = (lines.format(record("completed", function="scrape")) for _ in range(2))
    assert first[first.index(" ") :] == second[second.index(" ") :]
    assert "\x1b[31mdead\x1b[0m" in lines.format(record("dead", logging.ERROR))


def test_no_colour_off_a_terminal_or_when_it_is_not_wanted() -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    assert may_colour(terminal, {})
    assert not may_colour(terminal, {"NO_COLOR": "1"})
    assert not may_colour(terminal, {"TERM": "dumb"})
    assert not may_colour(io.StringIO(), {})


@pytest.fixture
def own_logger() -> Iterator[logging.Logger]:
    """An application's logger, and the root logger as it was before."""
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    yield logging.getLogger("shop.mail")
    root.setLevel(before[0])
    root.handlers[:] = before[1]


def test_lines_of_the_applications_own_loggers_are_shown(own_logger: logging.Logger) -> None:
    """`logging.getLogger(__name__).info(...)` in a worker went nowhere."""
    stream = io.StringIO()
    configure("info", "text", stream=stream)
    configure("info", "text", stream=stream)
    own_logger.info("sent %d", 3)
    own_logger.debug("not this")
    line = stream.getvalue()
    assert line.partition(" ")[2].split() == ["shop.mail", "sent", "3"]
    configure("info", "json", stream=stream)
    own_logger.warning("slow")
    told = json.loads(stream.getvalue().removeprefix(line))
    assert (told["logger"], told["message"], told["level"]) == ("shop.mail", "slow", "warning")


@pytest.mark.parametrize("development", [True, False])
def test_the_first_failure_has_its_traceback_in_development(
    own_logger: logging.Logger, *, development: bool
) -> None:
    stream = io.StringIO()
    configure("info", "text", stream=stream, development=development)
    fields = {"msg_id": 7, "traceback": "Traceback:\n  here\nKeyError"}
    logging.getLogger("postmill").warning("message.retrying", extra={"fields": fields})
    logging.getLogger("postmill").error("message.dead", extra={"fields": fields})
    retrying, dead = stream.getvalue().split("message.dead")
    assert ("KeyError" in retrying) == development
    assert "KeyError" in dead


def test_what_a_function_prints_stands_after_its_name() -> None:
    printed = record("function.log", function="scraper", execution="1f0c", stream="stdout", line="a = 'b  c'")
    assert TextLines(colour=False).format(printed).partition(" ")[2] == "scraper          | a = 'b  c'"
