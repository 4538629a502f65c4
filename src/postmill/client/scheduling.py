"""From arguments to statements about schedules, for both clients and the command line. Without I/O.

Each mistake is told before anything is sent: an expression that can't be read, an unknown time zone, an
option that makes no sense for a message that is sent again and again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

import msgspec

from postmill.client import jobs
from postmill.client.addressing import addressed, checked
from postmill.client.options import MAX_KEY, choice, known_names, time_s
from postmill.client.sending import Statement
from postmill.model.errors import InvalidOption
from postmill.model.option_rules import out_of_range
from postmill.model.queue.payload import to_json
from postmill.model.queue.sent import Sent
from postmill.model.schedule import recurrence
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from typing import Unpack

    from postmill.client.options import Delay, Headers, OnConflict, Then
    from postmill.model.queue.addressee import Addressee

Overlap: TypeAlias = Literal["skip", "queue", "allow"]
CatchUp: TypeAlias = Literal["none", "one", "all"]

MAX_JITTER_S = 86_400
"""The most seconds of jitter: a day, as in SQL. A longer one is a mistake in the unit."""
OF_ONE_MESSAGE = {
    "run_at": "Its ticks say when; delay=... delivers each message so much after its tick.",
    "after": "overlap='queue' waits for the message of the tick before; then_send sends one after each.",
    "on_source_dead": "overlap='queue' waits for the message of the tick before.",
}
"""Options of ``send`` that say something about one message only, and what to write in their place."""


class ScheduleOptions(TypedDict, total=False):
    """The options of ``schedule``; see ``docs/reference/client.md``."""

    timezone: str
    overlap: Overlap
    catch_up: CatchUp
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


OPTIONS = tuple(ScheduleOptions.__annotations__)
"""Every option's name."""


def making(
    name: str, to: str | Addressee, payload: object, when: str, **options: Unpack[ScheduleOptions]
) -> Statement:
    """The statement that makes or changes a schedule. Raises ``InvalidOption`` and ``InvalidPayload``."""
    _check_names(options)
    jobs.check_key(options)
    timezone = options.get("timezone", "UTC")
    recurrence.check(when, timezone)
    queue, headers = addressed(to, options.get("headers"))
    arguments = (
        _name(name),
        when,
        queue,
        to_json(checked(to, payload)).decode(),
        timezone,
        choice("overlap", options.get("overlap", "skip"), Overlap),
        choice("catch_up", options.get("catch_up", "one"), CatchUp),
        _jitter_s(options.get("jitter", 0)),
        _asked({**options, "headers": headers}),
    )
    return Statement(statement("client_schedule"), arguments, queue)


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
    """The message in the answer of :func:`running`; None for a SQL command, which sends none."""
    msg_id, queue = returned[0]
    return None if msg_id is None else Sent(int(msg_id), queue)


def _about(name: str, schedule: str) -> Statement:
    return Statement(statement(name), (_name(schedule),), "")


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
