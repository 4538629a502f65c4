"""Messages, wherever they are by now: lists, one with its failures, sending, cancelling, retrying."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from postmill.api.cursor import Page, Whole, after, paged
from postmill.api.resources import payload_types
from postmill.api.resources.queues import InQueue, Seconds
from postmill.api.route import Named, resource
from postmill.api.shape import BigId, Moment, Payload, shaped, whole
from postmill.client import Client
from postmill.client.options import Then
from postmill.db.reads import messages
from postmill.db.tools import operations
from postmill.model.queue.trace import trace_address, trace_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.api.desk import Desk
    from postmill.db.tools.connect import Connection

State: TypeAlias = Literal[
    "scheduled", "ready", "running", "retrying", "waiting", "completed", "dead", "cancelled"
]
Ids: TypeAlias = Annotated[list[BigId], Meta(min_length=1, max_length=1000)]
Headers: TypeAlias = Annotated[dict[str, Any], Meta(max_length=100)]


class FailedAttempt(Struct, kw_only=True):
    """A failed attempt at a message. ``log``: its last lines, where its worker has ``keep_log``."""

    attempt: int
    kind: str
    error_type: str | None = None
    error_message: str | None = None
    traceback: str | None = None
    worker_id: UUID | None = None
    started_at: Moment | None = None
    failed_at: Moment | None = None
    log: list[str] = []


class ListedMessage(Struct, kw_only=True):
    """A message as lists show it. ``waits_for`` says in words why it does not run yet."""

    msg_id: BigId
    state: str
    waits_for: str | None = None
    attempts: int
    read_ct: int
    enqueued_at: Moment
    vt: Moment | None = None
    worker_id: UUID | None = None
    last_error: str | None = None
    finished_at: Moment | None = None
    message: Payload
    headers: Payload = None
    result: Payload = None


class Messages(Struct):
    """Messages, the newest first."""

    items: list[ListedMessage]
    next: str | None = None


class Cause(Struct, kw_only=True):
    """Why a message does not run now. ``cause`` is a word that does not change, ``said`` says it in words,
    ``until`` is when it ends by itself, where that is known.
    """

    rank: int
    cause: str
    said: str
    until: Moment | None = None
    detail: Payload = None


class Neighbour(Struct, kw_only=True):
    """A message that this one waits for, or that waits for it. ``died``: the one that is waited for is dead,
    and its replay is.
    """

    queue: str
    msg_id: BigId
    died: bool


class Message(ListedMessage, kw_only=True):
    """One message with its failures, the last 100; ``sources`` are what it waits for, ``dependents`` what
    waits for it, 50 of each. ``why`` it does not run, the cause that decides first;
    ``reason``: why it was cancelled. ``trace_id``: the trace it belongs to, which ``trace_url`` shows, where
    that is set.
    """

    why: list[Cause] = []

    queue: str
    reason: str | None = None
    trace_id: str | None = None
    trace_url: str | None = None
    failures: list[FailedAttempt]
    sources: list[Neighbour] = []
    dependents: list[Neighbour] = []


class InMessage(InQueue):
    """The path of a message."""

    msg_id: BigId


class Which(Page, forbid_unknown_fields=True, kw_only=True):
    """Which messages are listed."""

    state: State | None = None


class Follower(Struct, forbid_unknown_fields=True, kw_only=True):
    """A message that is sent when another one ends."""

    queue: Named
    message: msgspec.Raw
    delay_s: Seconds | None = None
    headers: Headers | None = None
    unique_key: Named | None = None
    priority: Annotated[int, Meta(ge=0, le=9)] | None = None
    group_key: Named | None = None


class NewMessage(Struct, forbid_unknown_fields=True, kw_only=True):
    """A message to send, and what it asks for. ``after``: messages to wait for, each ``queue:id``."""

    message: msgspec.Raw
    delay_s: Seconds | None = None
    run_at: Moment | None = None
    headers: Headers | None = None
    unique_key: Named | None = None
    unique_for_s: Seconds | None = None
    on_conflict: Literal["skip", "replace", "raise"] = "skip"
    priority: Annotated[int, Meta(ge=0, le=9)] | None = None
    group_key: Named | None = None
    after: Annotated[list[Named], Meta(max_length=1000)] = []
    on_source_dead: Literal["cancel", "skip", "block"] = "cancel"
    then_send: Follower | None = None
    else_send: Follower | None = None
    check: bool = False
    """Whether a payload is refused that the queue's worker would not take, as far as its type says."""


class SentMessage(Struct):
    """The message that was sent; with ``existed`` the one that holds its unique key."""

    queue: str
    msg_id: BigId
    existed: bool


class Chosen(Struct, forbid_unknown_fields=True):
    """Some messages of a queue."""

    msg_ids: Ids


class Outcome(Struct):
    """What became of one of them."""

    msg_id: BigId
    outcome: str


class Outcomes(Struct):
    """What became of each, in the order that was given."""

    items: list[Outcome]


@resource("GET", "/queues/{queue}/messages", out=Messages, in_path=InQueue, query=Which)
async def list_messages(desk: Desk, path: InQueue, query: Which) -> Messages:
    """Messages of a queue, the newest first, with those that are done."""
    found = await desk.read(
        messages.listed,
        path.queue,
        state=query.state,
        limit=query.limit + 1,
        before=after(query, Whole),
    )
    rows, more = paged(found, query, lambda row: row["msg_id"])
    return Messages([desk.shaped(ListedMessage, row) for row in rows], more)


@resource("POST", "/queues/{queue}/messages", out=SentMessage, in_path=InQueue, body=NewMessage, status=201)
async def send_message(desk: Desk, path: InQueue, body: NewMessage) -> SentMessage:
    """Send a message to a queue."""
    desk.check_whole(bytes(body.message))

    def send(connection: Connection) -> SentMessage:
        operations.check_queue(connection, path.queue)
        if body.check:
            payload_types.check(connection, path.queue, body.message, body.headers)
        sent = Client(connection).send(path.queue, body.message, **_options(body))
        return SentMessage(path.queue, str(int(sent)), sent.existed)

    return await desk.act("message.send", path, send, count=lambda done: int(not done.existed))


@resource("GET", "/queues/{queue}/messages/{msg_id}", out=Message, in_path=InMessage)
async def show_message(desk: Desk, path: InMessage) -> Message:
    """One message with its failures, wherever it is by now."""
    row = await desk.read(messages.one, path.queue, int(path.msg_id))
    return _message(row, desk.house.hide, desk.house.trace_url)


@resource("POST", "/queues/{queue}/messages/{msg_id}/reveal", out=Message, in_path=InMessage)
async def reveal_message(desk: Desk, path: InMessage) -> Message:
    """One message with its secrets; the audit says that a viewer has seen them."""

    def reveal(connection: Connection) -> Message:
        return _message(messages.one(connection, path.queue, int(path.msg_id)), whole, desk.house.trace_url)

    return await desk.reveal("message.reveal", path, reveal)


@resource("POST", "/queues/{queue}/messages/cancel", out=Outcomes, in_path=InQueue, body=Chosen)
async def cancel_messages(desk: Desk, path: InQueue, body: Chosen) -> Outcomes:
    """Cancel messages: one that waits is taken out (``cancelled``), one that runs is asked to stop
    (``requested``). ``not found``: it is done or was never sent.
    """
    return await _each(desk, "message.cancel", path.queue, body, operations.cancel)


@resource("POST", "/queues/{queue}/messages/retry", out=Outcomes, in_path=InQueue, body=Chosen)
async def retry_messages(desk: Desk, path: InQueue, body: Chosen) -> Outcomes:
    """Have messages run now that wait for their time or their next attempt (``ready``), or that are dead
    (``replayed``; ``skipped`` when their unique key is taken). Nothing is done to one that is ``running``.
    """
    return await _each(desk, "message.retry", path.queue, body, operations.retry)


async def _each(
    desk: Desk, action: str, queue: str, body: Chosen, do: Callable[[Connection, str, int], str]
) -> Outcomes:
    # In the order of their ids: two requests about the same messages don't lock each other out.
    numbers = sorted({int(msg_id) for msg_id in body.msg_ids})

    def each(connection: Connection) -> Outcomes:
        done = {number: do(connection, queue, number) for number in numbers}
        return Outcomes([Outcome(msg_id, done[int(msg_id)]) for msg_id in body.msg_ids])

    return await desk.act(
        action,
        {"queue": queue, "msg_ids": [str(number) for number in numbers]},
        each,
        count=lambda done: len({each.msg_id for each in done.items if each.outcome not in _NOTHING}),
    )


_NOTHING = {"not found", "running", "skipped"}
"""Outcomes of a message to which nothing was done."""


def _message(row: dict[str, Any], hide: Callable[[Any], Any], trace_url: str | None) -> Message:
    failures = [shaped(FailedAttempt, failure, hide) for failure in row["failures"]]
    causes = [shaped(Cause, cause, hide) for cause in row["why"]]
    trace = trace_id(row["headers"] if isinstance(row["headers"], dict) else None)
    found = {"trace_id": trace, "trace_url": trace_address(trace_url, trace)}
    return shaped(Message, {**row, **found, "failures": failures, "why": causes}, hide)


def _options(body: NewMessage) -> Any:
    """As the client takes them. What was not given is left out: a plain message goes the plain way."""
    given = {
        "delay": body.delay_s,
        "run_at": body.run_at,
        "headers": body.headers,
        "unique_key": body.unique_key,
        "unique_for": body.unique_for_s,
        "on_conflict": None if body.on_conflict == "skip" else body.on_conflict,
        "priority": body.priority,
        "group_key": body.group_key,
        "after": body.after or None,
        "on_source_dead": None if body.on_source_dead == "cancel" else body.on_source_dead,
        "then_send": _follower(body.then_send),
        "else_send": _follower(body.else_send),
    }
    return {name: value for name, value in given.items() if value is not None}


def _follower(given: Follower | None) -> Then | None:
    if given is None:
        return None
    options = {
        "delay": given.delay_s,
        "headers": given.headers,
        "unique_key": given.unique_key,
        "priority": given.priority,
        "group_key": given.group_key,
    }
    known = {name: value for name, value in options.items() if value is not None}
    return Then(given.queue, given.message, **known)
