"""What a message may ask for beside its delivery: the names of the options, and the rules for their values.

Each mistake is told before anything is sent: which option, which value, and the rule. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, get_args

from postmill.model.errors import InvalidOption
from postmill.model.option_rules import did_you_mean, one_of, out_of_range, whole_number
from postmill.model.queue.queue_name import usable
from postmill.model.queue.sent import Sent

if TYPE_CHECKING:
    from postmill.model.queue.addressee import Addressee

Delay: TypeAlias = float | timedelta | None
"""Seconds, or a timedelta."""
Headers: TypeAlias = Mapping[str, object] | None
OnConflict: TypeAlias = Literal["skip", "replace", "raise"]
OnSourceDead: TypeAlias = Literal["cancel", "skip", "block"]
Source: TypeAlias = "Sent | str | tuple[str | Addressee, int]"
"""A message to wait for: what its send returned, ``"queue:id"``, or the queue and the id."""
After: TypeAlias = "Source | Iterable[Source] | None"

MAX_KEY = 200
"""The most characters of a key, as in SQL: each fits into an index with its queue's name, whatever its
letters.
"""
MAX_PRIORITY = 9
"""The highest priority; the lowest is 0. One digit, so that an index finds a priority by one character."""
MAX_LIMIT = 2**31 - 1
"""The most messages that a limit allows: what Postgres holds as an integer."""
MAX_TIME = timedelta(days=36_525)
"""The longest time of an option: a hundred years. A longer one is a mistake in the unit."""

PARKED_UNTIL = datetime(9999, 1, 1, tzinfo=UTC)
"""The moment that messages have which wait for something else, as SQL's ``postmill._parked_until``."""

_REF = re.compile(r"(?P<queue>.+):(?P<msg_id>[0-9]{1,19})", re.DOTALL)
_PLACE = re.compile(r"#[0-9]{1,9}")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""What no text of Postgres holds: the NUL, and halves of characters, as JSON's ``"\\ud83d"`` leaves them."""


class SendOptions(TypedDict, total=False):
    """The options of ``send``; see ``docs/reference/client.md``."""

    delay: Delay
    run_at: datetime | None
    headers: Headers
    unique_key: str | None
    unique_for: float | timedelta | None
    on_conflict: OnConflict
    priority: int | None
    group_key: str | None
    after: After
    on_source_dead: OnSourceDead
    then_send: Then | None
    else_send: Then | None


class ManyOptions(TypedDict, total=False):
    """The options of ``send_many``: each one value for all messages, or a function of the payload."""

    delay: Delay | Callable[[Any], Delay]
    run_at: datetime | Callable[[Any], datetime | None] | None
    headers: Headers | Callable[[Any], Headers]
    unique_key: str | Callable[[Any], str | None] | None
    unique_for: float | timedelta | Callable[[Any], float | timedelta | None] | None
    on_conflict: OnConflict | Callable[[Any], OnConflict]
    priority: int | Callable[[Any], int | None] | None
    group_key: str | Callable[[Any], str | None] | None
    after: After | Callable[[Any], After]
    on_source_dead: OnSourceDead | Callable[[Any], OnSourceDead]
    then_send: Then | Callable[[Any], Then | None] | None
    else_send: Then | Callable[[Any], Then | None] | None


OPTIONS = tuple(SendOptions.__annotations__)
"""Every option's name."""
DELIVERY = frozenset({"delay", "run_at", "headers"})
"""The options that a plain insert can serve."""
OF_A_FOLLOWER = ("delay", "headers", "unique_key", "priority", "group_key")
"""The options of :class:`Then`."""
FOLLOWER_FIELDS = ("delay_s", *OF_A_FOLLOWER[1:])
"""The same, as SQL and the command line name them in the JSON of a message to send later: the name of a time
says its unit there.
"""


class Then:
    """A message that is sent when another one ends, in the transaction that ends it: for ``then_send`` and
    ``else_send``.

    ``queue`` and ``payload`` as for ``send``, and of its options ``delay``, ``headers``, ``unique_key``,
    ``priority`` and ``group_key``. Raises :class:`InvalidOption`, ``InvalidPayload`` and
    ``InvalidQueueName``.
    """

    def __init__(self, queue: str | Addressee, payload: object, **options: Any) -> None:
        known_names(options, OF_A_FOLLOWER)
        if isinstance(queue, str):
            usable(queue)
        self.queue = queue
        self.payload = payload
        self.options: Mapping[str, Any] = options

    def __repr__(self) -> str:
        return f"Then({self.queue!r}, {self.payload!r})"


def known_names(options: Iterable[str], known: Sequence[str] = OPTIONS) -> None:
    """Refuse a name that is no option."""
    for name in options:
        if name not in known:
            raise InvalidOption(
                f"There is no option {name!r}.",
                why=f"It is one of {', '.join(known)}.",
                hint=did_you_mean(name, known),
            )


def is_plain(options: Mapping[str, Any]) -> bool:
    """Whether nothing is asked for beside delivery, and the same of every message."""
    return all(not callable(value) if name in DELIVERY else value is None for name, value in options.items())


def due(delay: Delay, run_at: datetime | None) -> tuple[str | None, float | None]:
    """When a message becomes visible: the moment as text, else the delay in seconds."""
    if delay is not None and run_at is not None:
        raise InvalidOption("delay and run_at were both given.", hint="Give one of them.")
    return _moment(run_at), time_s("delay", delay, least="0")


def _moment(run_at: object) -> str | None:
    if run_at is None:
        return None
    if not isinstance(run_at, datetime) or run_at.utcoffset() is None:
        raise InvalidOption(
            f"run_at is {run_at!r}, which is no moment in time.",
            why="A datetime without a time zone means something else on every machine.",
            hint="Give one with a time zone, e.g. datetime(2030, 1, 1, 9, tzinfo=timezone.utc).",
        )
    if run_at >= PARKED_UNTIL:
        raise InvalidOption(
            f"run_at is {run_at.isoformat()}; it lies before the year 9999 (UTC).",
            why="Messages that wait for something else than a moment have that time.",
        )
    return run_at.isoformat()


def key(name: str, value: object) -> str | None:
    """A unique key or a group key."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidOption(
            f"{name}={value!r} is of type {type(value).__name__}; it must be a string.",
            hint=f"For a key each, give a function of the payload: {name}=lambda payload: ..."
            if isinstance(value, list | tuple)
            else f"Give str({name}).",
        )
    if not 1 <= len(value) <= MAX_KEY:
        shown = value if len(value) <= MAX_KEY else f"{value[:20]}…"
        raise InvalidOption(
            f"{name}={shown!r} has {len(value)} characters; it has 1 to {MAX_KEY}.",
            hint="Give a digest of what is longer." if value else "Leave it out where there is none.",
        )
    if unstorable := _UNSTORABLE.search(value):
        raise InvalidOption(f"{name}={value!r} holds {unstorable[0]!r}, which Postgres can't store.")
    return value


def priority(value: object) -> int | None:
    """A priority."""
    if value is not None:
        whole_number("priority", value, 0, MAX_PRIORITY)
    return value  # type: ignore[return-value]


def limits(
    max_running: int | None, starts: int | None, per: float | timedelta | None
) -> tuple[int | None, int | None, float | None]:
    """How much may run and start; null: no such limit."""
    for name, value in (("max_running", max_running), ("starts", starts)):
        if value is not None:
            whole_number(name, value, 1, MAX_LIMIT)
    if (starts is None) != (per is None):
        raise InvalidOption(
            f"starts={starts!r} and per={per!r} go together.", hint="For example starts=10, per=60."
        )
    return max_running, starts, time_s("per", per)


def time_s(name: str, value: object, *, least: str = "more than 0") -> float | None:
    """A length of time in seconds."""
    if value is None:
        return None
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidOption(f"{name}={value!r} is no length of time.", hint="Give seconds or a timedelta.")
    lowest_holds = seconds >= 0 if least == "0" else seconds > 0
    if not isfinite(seconds) or not lowest_holds or seconds > MAX_TIME.total_seconds():
        raise out_of_range(name, value, f"It is {least}, and at most {MAX_TIME.days:,} days.")
    return float(seconds)


def choice(name: str, value: object, kind: Any) -> str:
    """One of a few words."""
    one_of(name, value, get_args(kind))
    return str(value)


def sources(after: After, *, in_batch: bool = False) -> list[str] | None:
    """Messages to wait for, each as SQL names it; None where there are none. ``in_batch``: ``"#3"``, the
    third message of the same call, is one too.
    """
    if after is None:
        return None
    is_one = isinstance(after, str | int) or _is_pair(after)
    each: Iterable[Any] = (after,) if is_one or not isinstance(after, Iterable) else after
    found = dict.fromkeys(_source(source, in_batch=in_batch) for source in each)
    return list(found) or None


def _is_pair(after: object) -> bool:
    match after:
        case (str() as queue, int()):
            return not _REF.fullmatch(queue)
        case (first, int()):
            return not isinstance(first, int)
    return False


def _source(source: object, *, in_batch: bool) -> str:
    match source:
        case Sent():
            return source.ref
        case str() if in_batch and _PLACE.fullmatch(source):
            return source
        case str() if _REF.fullmatch(source):
            return source
        case (to, int() as msg_id) if not isinstance(msg_id, bool) and msg_id >= 0:
            queue = to if isinstance(to, str) else getattr(to, "queue", None)
            if isinstance(queue, str):
                return f"{queue}:{msg_id}"
    raise InvalidOption(
        f"after={source!r} names no message.",
        why="A message is what send returned, 'queue:id', or (queue, id); "
        "in the first batch of a send_many also '#1', its first message.",
        hint=f"Give ('its-queue', {source})." if isinstance(source, int) else "",
    )
