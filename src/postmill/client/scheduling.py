"""From arguments to statements about schedules, for both clients and the command line. Without I/O.

Each mistake is told before anything is sent: an expression that can't be read, an unknown time zone, an
option that makes no sense for a message that is sent again and again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

import msgspec

from postmill.client import jobs
from postmill.client.addressing import addressed, checked
from postmill.client.options import MAX_KEY, choice, known_names, time_s
from postmill.client.sending import Statement
from postmill.model.errors import InvalidOption
from postmill.model.option_rules import out_of_range, whole_number
from postmill.model.queue.payload import to_json
from postmill.model.queue.sent import Sent
from postmill.model.schedule import recurrence
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from typing import Unpack

    from postmill.client.options import Delay, Headers, OnConflict, Then
    from postmill.model.queue.addressee import Addressee

Overlap: TypeAlias = Literal["skip", "queue", "allow"]
CatchUp: TypeAlias = Literal["none", "one", "all"]

MAX_JITTER_S = 86_400
"""The most seconds of jitter: a day, as in SQL. A longer one is a mistake in the unit."""
MAX_ATTEMPTS = 100
"""The most attempts at a call, as in SQL. With the longest pauses they take four days."""
OF_ONE_MESSAGE = {
    "run_at": "Its ticks say when; delay=... delivers each message so much after its tick.",
    "after": "overlap='queue' waits for the message of the tick before; then_send sends one after each.",
    "on_source_dead": "overlap='queue' waits for the message of the tick before.",
}
"""Options of ``send`` that say something about one message only, and what to write in their place."""


class TickOptions(TypedDict, total=False):
    """What a schedule does with its ticks, whatever it fires; see ``docs/reference/client.md``."""

    timezone: str
    overlap: Overlap
    catch_up: CatchUp


class ScheduleOptions(TickOptions, total=False):
    """The options of ``schedule``; see ``docs/reference/client.md``."""

    jitter: float | timedelta
    delay: Delay
    headers: Headers
    unique_key: str | None
    unique_for: float | timedelta | None
    on_conflict: OnConflict
    priority: int | None
    group_key: str | None
    then_send: Then | None
    else_send: Then | None


class CallOptions(TickOptions, total=False):
    """The options of ``schedule_call``; see ``docs/reference/client.md``."""

    jitter: float | timedelta
    url: str | None
    function: str | None
    body: object
    method: str
    params: Mapping[str, object] | None
    headers: Mapping[str, object] | None
    timeout: float | timedelta
    max_attempts: int


class FlowOptions(TickOptions, total=False):
    """The options of ``schedule_flow``; see ``docs/reference/client.md``."""

    jitter: float | timedelta


OPTIONS = tuple(ScheduleOptions.__annotations__)
"""Every option's name."""
TICK_OPTIONS = tuple(TickOptions.__annotations__)
"""The same of a SQL command."""
CALL_OPTIONS = tuple(CallOptions.__annotations__)
"""The same of a call."""
FLOW_OPTIONS = tuple(FlowOptions.__annotations__)
"""The same of a flow."""


def making(
    name: str, to: str | Addressee, payload: object, when: str, **options: Unpack[ScheduleOptions]
) -> Statement:
    """The statement that makes or changes a schedule. Raises ``InvalidOption`` and ``InvalidPayload``."""
    _check_names(options)
    jobs.check_key(options)
    queue, headers = addressed(to, options.get("headers"))
    arguments = (
        *_named_when(name, when, options),
        queue,
        to_json(checked(to, payload)).decode(),
        *_ticks(options),
        _jitter_s(options.get("jitter", 0)),
        _asked({**options, "headers": headers}),
    )
    return Statement(statement("client_schedule"), arguments, queue)


def commanding(name: str, command: str, when: str, **options: Unpack[TickOptions]) -> Statement:
    """The statement that makes or changes a schedule of a SQL command. Raises ``InvalidOption``."""
    known_names(options, TICK_OPTIONS)
    arguments = (*_named_when(name, when, options), _command(command), *_ticks(options))
    return Statement(statement("client_schedule_sql"), arguments, "")


def calling(name: str, when: str, **options: Unpack[CallOptions]) -> Statement:
    """The statement that makes or changes a schedule of a call. Raises ``InvalidOption`` and
    ``InvalidPayload``.
    """
    known_names(options, CALL_OPTIONS)
    url, function, body = options.get("url"), options.get("function"), options.get("body")
    if (url is None) == (function is None):
        raise InvalidOption("A call has a function or a url.", hint="Give one of url=... and function=...")
    max_attempts = options.get("max_attempts", 1)
    whole_number("max_attempts", max_attempts, 1, MAX_ATTEMPTS)
    arguments = (
        *_named_when(name, when, options),
        _text("url", url),
        _text("function", function),
        None if body is None else to_json(body).decode(),
        _text("method", options.get("method", "POST")),
        _object("params", options.get("params")),
        _object("headers", options.get("headers")),
        time_s("timeout", options.get("timeout", 5)),
        max_attempts,
        *_ticks(options),
        _jitter_s(options.get("jitter", 0)),
    )
    return Statement(statement("client_schedule_call"), arguments, "")


def starting(name: str, flow: str, given: object, when: str, **options: Unpack[FlowOptions]) -> Statement:
    """The statement that makes or changes a schedule of a flow, with the input ``given``. Raises
    ``InvalidOption`` and ``InvalidPayload``.
    """
    known_names(options, FLOW_OPTIONS)
    if options.get("overlap") == "queue":
        raise InvalidOption("No run of a flow waits for another one.", hint="overlap is skip or allow.")
    arguments = (
        *_named_when(name, when, options),
        _text("flow", flow),
        to_json(given, "input").decode(),
        *_ticks(options),
        _jitter_s(options.get("jitter", 0)),
    )
    return Statement(statement("client_schedule_flow"), arguments, "")


def removing(name: str) -> Statement:
    """The statement that removes a schedule."""
    return _about("client_unschedule", name)


def pausing(name: str) -> Statement:
    """The statement that lets a schedule fire no more."""
    return _about("client_pause_schedule", name)


def resuming(name: str) -> Statement:
    """The statement that lets a schedule fire again."""
    return _about("client_resume_schedule", name)


def running(name: str) -> Statement:
    """The statement that fires a schedule now."""
    return _about("client_run_schedule", name)


def fired(returned: Sequence[Any]) -> Sent | None:
    """The message in the answer of :func:`running`; None for a SQL command or a call."""
    msg_id, queue = returned[0]
    return None if queue is None else Sent(int(msg_id), queue)


def _about(name: str, schedule: str) -> Statement:
    return Statement(statement(name), (_name(schedule),), "")


def _named_when(name: object, when: str, options: Mapping[str, Any]) -> tuple[str, str]:
    recurrence.check(when, options.get("timezone", "UTC"))
    return _name(name), when


def _ticks(options: Mapping[str, Any]) -> tuple[str, str, str]:
    return (
        options.get("timezone", "UTC"),
        choice("overlap", options.get("overlap", "skip"), Overlap),
        choice("catch_up", options.get("catch_up", "one"), CatchUp),
    )


def _command(command: object) -> str:
    if not isinstance(command, str) or not command.strip() or "\0" in command:
        raise InvalidOption(f"{command!r} is no SQL command.", hint="For example: 'vacuum analyze orders'.")
    return command


def _text(name: str, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InvalidOption(f"{name}={value!r} is no text.")
    return value


def _object(name: str, value: object) -> str:
    if value is not None and not isinstance(value, Mapping):
        raise InvalidOption(f"{name}={value!r} is no JSON object.", hint="Give a dict.")
    return to_json(value or {}).decode()


def _name(name: object) -> str:
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_KEY or "\0" in name:
        raise InvalidOption(
            f"{name!r} is no name of a schedule: that is a text of 1 to {MAX_KEY} characters.",
            hint="For example: 'nightly-report'.",
        )
    return name


def _check_names(options: Mapping[str, Any]) -> None:
    for name, instead in OF_ONE_MESSAGE.items():
        if name in options:
            raise InvalidOption(
                f"{name} is for one message, and each tick of a schedule sends another.", hint=instead
            )
    known_names(options, OPTIONS)


def _jitter_s(value: object) -> float:
    seconds = time_s("jitter", value, least="0") or 0.0
    if seconds > MAX_JITTER_S:
        raise out_of_range("jitter", value, "It is at most a day.")
    return seconds


def _asked(options: Mapping[str, Any]) -> str:
    """What each message asks for, as ``postmill.schedule`` takes it."""
    terms = jobs.terms(options)
    found = {
        **jobs.own(options),
        "delay_s": terms.delay_s,
        "unique_for_s": terms.unique_for_s,
        "on_conflict": None if terms.on_conflict == "skip" else terms.on_conflict,
        "then_send": _raw(terms.then_send),
        "else_send": _raw(terms.else_send),
    }
    return to_json({name: value for name, value in found.items() if value is not None}).decode()


def _raw(message: str | None) -> msgspec.Raw | None:
    return None if message is None else msgspec.Raw(message.encode())
