"""Events: whose line it is, and that a broken log stops nothing."""

from __future__ import annotations

import asyncio
import io
import logging
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from postmill.model.events import Event
from postmill.model.queue.message import Claim, Message
from postmill.service.events import Events

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOGGER = logging.getLogger("postmill")


class Raising(logging.Handler):
    """A handler whose every record ends in ``error``, past the guard of ``Handler.handleError``."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(logging.DEBUG)
        self.error = error
        self.asked = 0

    def handle(self, record: logging.LogRecord) -> bool:
        self.asked += 1
        raise self.error


@contextmanager
def attached(handler: logging.Handler) -> Iterator[None]:
    """``handler`` on the product's logger, at every level."""
    before = _LOGGER.level
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)
        _LOGGER.setLevel(before)


def a_message() -> Message:
    """One that was claimed just now."""
    claim = Claim(1, datetime.now(UTC), 0.0)
    return Message("tasks", 7, 1, 0, 0, "{}", None, 0, 0, claim)


def test_a_worker_s_line_belongs_to_its_function(caplog: pytest.LogCaptureFixture) -> None:
    """`postmill logs --function mailer` shows what the workers in it say."""
    made = {"function": "mailer", "execution": "0123456789", "queue": "mail", "worker": "1f0c"}
    with caplog.at_level(logging.INFO, "postmill"):
        Events().write(logging.INFO, "worker.started", made)
    (record,) = caplog.records
    told = {"function": "mailer", "execution": "01234567", "queue": "mail", "worker": "1f0c"}
    assert record.fields == told  # type: ignore[attr-defined]


def test_a_function_names_its_fields_as_it_likes() -> None:
    """A field that a function has named like an argument of ours is a field, and no error of ours."""
    heard: list[dict[str, Any]] = []
    events = Events()
    events.listeners.append(lambda _, fields: heard.append(fields))
    events.publish(Event.FUNCTION_UNCAUGHT, {"event": 1, "exception": "x", "self": 2, "level": 3})
    assert heard == [{"event": 1, "exception": "x", "self": 2, "level": 3}]


@pytest.mark.parametrize(
    "error", [AttributeError("request"), SystemExit(3), GeneratorExit(), asyncio.CancelledError()]
)
def test_a_log_that_raises_does_not_reach_the_engine(
    error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    """An application's filter expects a field that only its own records have, and raises on ours."""
    events = Events(function="deliver", queue="tasks")
    broken = Raising(error)
    with attached(broken):
        events.emit(Event.WORKER_FAILED, reason="first")
        events.emit(Event.WORKER_FAILED, reason="second")
        events.emit_each(Event.MESSAGE_COMPLETED, [a_message()])
    assert broken.asked == 3
    said = capsys.readouterr().err
    assert said.count("could not be logged") == 1  # once, and not once a message
    assert type(error).__name__ in said


def test_an_interruption_from_the_keyboard_is_no_fault_of_the_log() -> None:
    """Ctrl-C may arrive while a record is written: it is not swallowed."""
    with attached(Raising(KeyboardInterrupt())), pytest.raises(KeyboardInterrupt):
        Events().emit(Event.WORKER_FAILED)


@pytest.mark.parametrize("stream", ["closed", "none"])
def test_a_broken_log_and_no_standard_error(stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log raises, and standard error is closed too: the event is lost, and the engine goes on."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed if stream == "closed" else None)
    with attached(Raising(ValueError("x"))):
        Events().emit(Event.WORKER_FAILED)


def test_a_listener_that_raises_takes_nothing_along() -> None:
    """A counter and a listener raise: the next ones hear the event all the same."""
    heard: list[str] = []

    def broken(*_: object) -> None:
        raise RuntimeError("x")

    events = Events()
    events.counters += [broken, lambda event, _: heard.append(f"counted {event}")]
    events.listeners += [broken, lambda event, _: heard.append(f"told {event}")]
    events.emit(Event.WORKER_STARTED)
    events.emit_each(Event.MESSAGE_COMPLETED, [a_message()])
    assert heard == [
        "counted worker.started",
        "told worker.started",
        "counted message.completed",
        "told message.completed",
    ]


@pytest.mark.parametrize("odd", [ValueError, SystemExit, GeneratorExit, asyncio.CancelledError])
@pytest.mark.parametrize("kind", ["listeners", "counters"])
def test_what_hears_events_raises_into_nobody(
    kind: str, odd: type[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    """A listener's ``sys.exit()`` ended the service that had something to say."""

    def raises(*_: object) -> None:
        raise odd

    events = Events()
    getattr(events, kind).append(raises)
    events.emit(Event.WORKER_STARTED)
    assert odd.__name__ in capsys.readouterr().err
