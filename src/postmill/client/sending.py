"""From arguments to statements: the whole meaning of sending, without I/O, for both clients."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain, islice
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from postmill.model.errors import InvalidOption, InvalidPayload, NotFound
from postmill.model.queue.payload import loads, to_json
from postmill.model.queue.queue_name import QueueShape, not_a_name, usable, validated
from postmill.sql.catalog import queue_statement, statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from postmill.model.queue.addressee import Addressee

Delay: TypeAlias = float | timedelta | None
"""Seconds, or a timedelta."""
Headers: TypeAlias = "Mapping[str, object] | None"

MAX_DELAY = timedelta(days=36_525)
"""The longest delay of a message: a hundred years. A longer one is a mistake in the unit."""

BATCH_MESSAGES = 5_000
"""Messages in one statement at most, so that its memory is bounded on both sides. Measured with payloads of
100 bytes: 1,000 messages a statement are about a tenth slower than 5,000, and 20,000 are no faster.
"""
BATCH_BYTES = 8 * 1024 * 1024
"""Bytes of payload in one statement at most, unless one payload alone is larger. 8 MiB: the client and the
server each hold a few times as much while the statement runs.
"""


class Statement(NamedTuple):
    """SQL text with ``$1`` placeholders, the arguments to bind, and the queue to name when it fails."""

    text: str
    arguments: tuple[object, ...]
    queue: str


def addressed(to: str | Addressee, headers: Headers) -> tuple[str, Headers]:
    """The queue's name, and the headers that reach a worker's task."""
    if isinstance(to, str):
        return to, headers
    queue = getattr(to, "queue", None)
    if not isinstance(queue, str):
        raise not_a_name(to)
    return queue, {**to.task_headers, **(headers or {})} if to.task_headers else headers


def checked(to: str | Addressee, payload: object) -> object:
    """The payload, checked against the annotation of the worker or task that it is sent to."""
    return payload if isinstance(to, str) else to.encode(payload)


def all_checked(to: str | Addressee, payloads: Iterable[object]) -> Iterable[object]:
    """As :func:`checked`, for each payload when it is asked for."""
    return payloads if isinstance(to, str) else map(to.encode, payloads)


def one(queue: str, payload: object, *, delay: Delay, run_at: datetime | None, headers: Headers) -> Statement:
    """The statement that sends one message."""
    text = _text("send", queue, headers is not None)
    return Statement(text, (to_json(payload).decode(), *_extras(delay, run_at, headers)), queue)


def many(
    queue: str, payloads: Iterable[object], *, delay: Delay, run_at: datetime | None, headers: Headers
) -> Iterator[Statement]:
    """The statements that send many messages, in order; each is built only when it is asked for."""
    text = _text("send_many", queue, headers is not None)
    extras = _extras(delay, run_at, headers)
    return (Statement(text, (b"\n".join(lines).decode(), *extras), queue) for lines in _batches(payloads))


def creation(queue: str) -> Statement:
    """The statement that creates a queue if it is missing."""
    return Statement(statement("send_create_queue"), (validated(queue),), queue)


def cancelling(queue: str, msg_id: int) -> Statement:
    """The statement that cancels a message."""
    return Statement(statement("client_cancel"), (queue, msg_id), queue)


def replaying(queue: str, letter_ids: Sequence[int] | None, payload: object) -> Statement:
    """The statement that puts dead letters back."""
    text = None if payload is None else to_json(payload).decode()
    ids = None if letter_ids is None else list(letter_ids)
    return Statement(statement("client_replay"), (queue, ids, text), queue)


def asking_result(queue: str, msg_id: int) -> Statement:
    """The statement that reads what a handler returned."""
    return Statement(statement("client_result"), (queue, msg_id), queue)


def the_result(found: Sequence[str | None], queue: str, msg_id: int) -> Any:
    """The value in the answer of :func:`asking_result`. Raises :class:`NotFound` when there is none."""
    if not found:
        raise NotFound(
            f"There is no result of message {msg_id} of queue {queue}.",
            why="It has not completed, its worker keeps no results, or they were pruned.",
            hint="Write @worker(keep_results=True); postmill message show says how it is doing.",
        )
    return None if found[0] is None else loads(found[0])


def is_atomic(statements: Iterator[Statement]) -> tuple[bool, Iterator[Statement]]:
    """Whether there is at most one statement (atomic without a transaction), and the same statements."""
    head = list(islice(statements, 2))
    return len(head) < 2, chain(head, statements)


def _batches(payloads: Iterable[object]) -> Iterator[list[bytes]]:
    lines: list[bytes] = []
    room = BATCH_BYTES
    for payload in payloads:
        line = to_json(payload)
        if lines and (len(lines) >= BATCH_MESSAGES or len(line) > room):
            yield lines
            lines, room = [], BATCH_BYTES
        lines.append(line)
        room -= len(line)
    if lines:
        yield lines


def _text(name: str, queue: str, with_headers: bool) -> str:
    if not isinstance(queue, str):
        raise not_a_name(queue)
    return _text_of(name, queue, with_headers)


@lru_cache(maxsize=1024)
def _text_of(name: str, queue: str, with_headers: bool) -> str:
    # Not `validated`: queues that other clients made under odd names can be sent to.
    return queue_statement(name, QueueShape(usable(queue), relation=0, has_headers=with_headers))


def _extras(delay: Delay, run_at: datetime | None, headers: Headers) -> tuple[object, ...]:
    if delay is not None and run_at is not None:
        raise InvalidOption("delay and run_at were both given.", hint="Give one of them.")
    when = (_moment(run_at), _seconds(delay))
    return when if headers is None else (*when, _headers_text(headers))


def _moment(run_at: datetime | None) -> str | None:
    if run_at is None:
        return None
    if run_at.utcoffset() is None:
        raise InvalidOption(
            f"run_at is {run_at!r}, which is no moment in time.",
            why="A datetime without a time zone means something else on every machine.",
            hint="Give one with a time zone, e.g. datetime(2030, 1, 1, 9, tzinfo=timezone.utc).",
        )
    return run_at.isoformat()


def _seconds(delay: Delay) -> float:
    if delay is None:
        return 0.0
    seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
    if not isfinite(seconds) or not 0 <= seconds <= MAX_DELAY.total_seconds():
        raise InvalidOption(f"delay is {delay!r}; it lies between 0 and {MAX_DELAY.days:,} days.")
    return float(seconds)


def _headers_text(headers: Headers) -> str:
    text = to_json(headers).decode()
    if not text.startswith("{"):
        raise InvalidPayload(
            f"The headers are a {type(headers).__name__}; they are a JSON object.", hint="Give a dict."
        )
    return text
