"""From arguments to statements: the whole meaning of sending, without I/O, for both clients."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

from postmill.client import jobs
from postmill.client.addressing import checked, headers_text, named, queue_of
from postmill.client.options import due, is_plain, known_names, time_s
from postmill.client.options import key as checked_key
from postmill.client.options import limits as checked_limits
from postmill.model.errors import NotFound
from postmill.model.queue.payload import loads, to_json
from postmill.model.queue.queue_name import QueueShape, validated
from postmill.model.queue.sent import Sent
from postmill.sql.catalog import queue_statement, statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import timedelta
    from typing import Unpack

    from postmill.client.options import ManyOptions, SendOptions
    from postmill.model.queue.addressee import Addressee

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


def one(queue: str, payload: object, **options: Unpack[SendOptions]) -> Statement:
    """The statement that sends one message."""
    known_names(options)
    line = to_json(payload).decode()
    if not is_plain(options):
        jobs.check_key(options)
        return _of_jobs(queue, [line], [jobs.entry(options)], jobs.terms(options))
    headers = options.get("headers")
    text = _text_of("send", queue, headers is not None)
    return Statement(text, (line, *_extras(options)), queue)


def many(
    queue: str,
    payloads: Iterable[object],
    *,
    to: str | Addressee = "",
    **options: Unpack[ManyOptions],
) -> Iterator[Statement]:
    """The statements that send many messages, in order; each is built only when it is asked for. The payloads
    are checked for ``to``, when that is a worker or a task.
    """
    known_names(options)
    if not is_plain(options):
        jobs.check_key(options)
        return _batches_of_jobs(named(queue), payloads, to, options)
    text = _text_of("send_many", queue, options.get("headers") is not None)
    extras = _extras(options)
    lines = payloads if isinstance(to, str) else map(to.encode, payloads)
    return (Statement(text, (b"\n".join(batch).decode(), *extras), queue) for batch in _batches(lines))


def sent(returned: Iterable[Any], queue: str) -> list[Sent]:
    """What a send's statements returned: an id each, or with it whether the message was there before."""
    return [
        Sent(found, queue) if isinstance(found, int) else Sent(found[0], queue, bool(found[1]))
        for found in returned
    ]


def creation(queue: str | Addressee) -> Statement:
    """The statement that creates a queue if it is missing."""
    return _about("send_create_queue", validated(queue_of(queue)))


def cancelling(queue: str | Addressee, msg_id: int) -> Statement:
    """The statement that cancels a message."""
    return _about("client_cancel", queue, msg_id)


def replaying(queue: str | Addressee, letter_ids: Sequence[int] | None, payload: object) -> Statement:
    """The statement that puts dead letters back."""
    text = None if payload is None else to_json(payload).decode()
    ids = None if letter_ids is None else list(letter_ids)
    return _about("client_replay", queue, ids, text)


def limiting(
    queue: str | Addressee, max_running: int | None, starts: int | None, per: float | timedelta | None
) -> Statement:
    """The statement that limits a queue."""
    return _about("client_limit_queue", queue, *checked_limits(max_running, starts, per))


def limiting_groups(
    queue: str | Addressee,
    max_running: int | None,
    starts: int | None,
    per: float | timedelta | None,
    group_key: str | None,
) -> Statement:
    """The statement that limits a queue's groups, or one of them."""
    limits = checked_limits(max_running, starts, per)
    return _about("client_limit_groups", queue, *limits, checked_key("group_key", group_key))


def prioritizing(queue: str | Addressee, aging: float | timedelta | None) -> Statement:
    """The statement that makes workers heed priorities."""
    return _about("client_enable_priority", queue, time_s("aging", aging))


def unprioritizing(queue: str | Addressee) -> Statement:
    """The statement that makes workers heed them no longer."""
    return _about("client_disable_priority", queue)


def asking_result(queue: str, msg_id: int) -> Statement:
    """The statement that reads what a handler returned."""
    return _about("client_result", queue, msg_id)


def _about(name: str, to: str | Addressee, *arguments: object) -> Statement:
    """The statement whose first argument is the queue that it is about."""
    queue = queue_of(to)
    return Statement(statement(name), (queue, *arguments), queue)


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


@lru_cache(maxsize=1024)
def _text_of(name: str, queue: str, with_headers: bool) -> str:
    # Not `validated`: queues that other clients made under odd names can be sent to.
    return queue_statement(name, QueueShape(named(queue), relation=0, has_headers=with_headers))


def _extras(options: Mapping[str, Any]) -> tuple[object, ...]:
    run_at, delay_s = due(options.get("delay"), options.get("run_at"))
    headers = options.get("headers")
    when = (run_at, delay_s or 0.0)
    return when if headers is None else (*when, headers_text(headers))


def _batches_of_jobs(
    queue: str, payloads: Iterable[object], to: str | Addressee, options: Mapping[str, Any]
) -> Iterator[Statement]:
    """As :func:`_batches`; a batch ends also where what holds for all of it changes."""
    asked, batch, is_first = jobs.Asked(options), _Batch(), True
    for payload in payloads:
        line, terms = to_json(checked(to, payload)).decode(), asked.terms(payload)
        if not batch.takes(line, terms):
            yield batch.statement(queue)
            batch, is_first = _Batch(), False
        batch.add(line, asked.entry(payload, in_batch=is_first), terms)
    if batch.lines:
        yield batch.statement(queue)


class _Batch:
    """Messages of one statement, as they are put together."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._entries: list[dict[str, Any]] = []
        self._terms = jobs.terms({})
        self._room = BATCH_BYTES

    def takes(self, line: str, terms: jobs.Terms) -> bool:
        """Whether one more message fits: in number and bytes, and by what holds for all."""
        if not self.lines:
            return True
        return len(self.lines) < BATCH_MESSAGES and len(line) <= self._room and terms == self._terms

    def add(self, line: str, entry: dict[str, Any], terms: jobs.Terms) -> None:
        """One more message."""
        self.lines.append(line)
        self._entries.append(entry)
        self._terms = terms
        self._room -= len(line) + jobs.size(entry)

    def statement(self, queue: str) -> Statement:
        """The statement that sends them."""
        return _of_jobs(queue, self.lines, self._entries, self._terms)


def _of_jobs(queue: str, lines: list[str], entries: list[dict[str, Any]], terms: jobs.Terms) -> Statement:
    run_at, delay_s, *others = terms
    arguments = ("\n".join(lines), run_at, delay_s, jobs.columns(entries), *others, named(queue))
    return Statement(statement("send_jobs"), arguments, queue)
