"""Dead letters: lists, one with its failures; those that are named are put back or deleted. What is done to
all of a queue, or to all that match, is an operation.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from postmill.api.cursor import Page, Whole, after, paged
from postmill.api.problem import Failure
from postmill.api.resources.messages import FailedAttempt, Ids
from postmill.api.resources.queues import InQueue
from postmill.api.route import Named, resource
from postmill.api.shape import ABSENT, BigId, Moment, Payload, shaped, unless_given, whole
from postmill.db.reads import letters, overview
from postmill.db.tools import operations
from postmill.model.queue.payload import to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.api.desk import Desk
    from postmill.db.tools.connect import Connection


class ListedLetter(Struct, kw_only=True):
    """A dead letter as lists show it."""

    letter_id: BigId
    queue: str
    msg_id: BigId
    attempts: int | None = None
    kind: str
    reason: str | None = None
    error_type: str | None = None
    died_at: Moment
    replayed_at: Moment | None = None
    replayed_as: BigId | None = None
    """The message that it has become."""
    message: Payload
    headers: Payload = None


class DeadLetters(Struct):
    """Dead letters, the latest first."""

    items: list[ListedLetter]
    next: str | None = None


class DeadLetter(ListedLetter, kw_only=True):
    """One dead letter with the failures of its message."""

    traceback: str | None = None
    enqueued_at: Moment | None = None
    replayed_by: str | None = None
    failures: list[FailedAttempt]


class InLetter(Struct):
    """The path of a dead letter."""

    letter_id: BigId


class Which(Page, forbid_unknown_fields=True, kw_only=True):
    """Which letters are listed. ``replayed``: also those that were put back."""

    queue: Named | None = None
    replayed: bool = False


class Replay(Struct, forbid_unknown_fields=True, kw_only=True):
    """Some letters of a queue. ``message`` is sent in place of the payload of one letter."""

    letter_ids: Ids
    message: msgspec.Raw = unless_given(b"")
    dry_run: bool = False


class ReplayedLetter(Struct):
    """Which message a letter has become; none when another message holds its unique key."""

    letter_id: BigId
    msg_id: BigId | None


class Replayed(Struct):
    """What was put back; with ``replayed`` false how many letters would be."""

    queue: str
    replayed: bool
    letters: int
    items: list[ReplayedLetter]


class Discard(Struct, forbid_unknown_fields=True, kw_only=True):
    """Some letters of a queue."""

    letter_ids: Ids
    dry_run: bool = False


class Discarded(Struct):
    """How many letters were deleted; with ``discarded`` false how many would be."""

    queue: str
    discarded: bool
    letters: int


@resource("GET", "/dead-letters", out=DeadLetters, query=Which)
async def list_dead_letters(desk: Desk, query: Which) -> DeadLetters:
    """Dead letters of a queue or of all, the latest first."""

    def read(connection: Connection) -> list[dict[str, Any]]:
        if query.queue is not None:
            overview.queues(connection, query.queue)  # refuses one that is not there
        return letters.listed(
            connection,
            query.queue,
            limit=query.limit + 1,
            replayed=query.replayed,
            before=after(query, Whole),
        )

    rows, more = paged(await desk.read(read), query, lambda row: row["letter_id"])
    return DeadLetters([desk.shaped(ListedLetter, row) for row in rows], more)


@resource("GET", "/dead-letters/{letter_id}", out=DeadLetter, in_path=InLetter)
async def show_dead_letter(desk: Desk, path: InLetter) -> DeadLetter:
    """One dead letter with the failures of its message."""
    return _letter(await desk.read(letters.one, int(path.letter_id)), desk.house.hide)


@resource("POST", "/dead-letters/{letter_id}/reveal", out=DeadLetter, in_path=InLetter)
async def reveal_dead_letter(desk: Desk, path: InLetter) -> DeadLetter:
    """One dead letter with its secrets; the audit says that a viewer has seen them."""

    def reveal(connection: Connection) -> DeadLetter:
        return _letter(letters.one(connection, int(path.letter_id)), whole)

    return await desk.reveal("dead_letter.reveal", path, reveal)


@resource("POST", "/queues/{queue}/dead-letters/replay", out=Replayed, in_path=InQueue, body=Replay)
async def replay_dead_letters(desk: Desk, path: InQueue, body: Replay) -> Replayed:
    """Put dead letters back as new messages, in one transaction: all that are named, or none."""
    chosen = _chosen(body.letter_ids)
    edited = body.message != ABSENT
    if edited:
        if len(chosen) != 1:
            raise Failure(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "invalid-payload",
                "A message goes with exactly one letter.",
                hint="Give one id in letter_ids.",
            )
        desk.check_whole(bytes(body.message))
    payload = to_json(body.message).decode() if edited else None

    def count(connection: Connection) -> Replayed:
        return Replayed(path.queue, replayed=False, letters=_waiting(connection, path, chosen), items=[])

    def replay(connection: Connection) -> Replayed:
        _waiting(connection, path, chosen)
        found = operations.replay(connection, path.queue, chosen, payload)
        letters.check_all_wait(path.queue, chosen, len(found), "replayed")  # another may have been faster
        items = [desk.shaped(ReplayedLetter, row) for row in found]
        letters_sent = sum(item.msg_id is not None for item in items)
        return Replayed(path.queue, replayed=True, letters=letters_sent, items=items)

    if body.dry_run:
        return await desk.read(count)
    target = {"queue": path.queue, "letter_ids": body.letter_ids, "edited": edited}
    return await desk.act("dead_letter.replay", target, replay, count=lambda done: done.letters)


@resource("POST", "/queues/{queue}/dead-letters/discard", out=Discarded, in_path=InQueue, body=Discard)
async def discard_dead_letters(desk: Desk, path: InQueue, body: Discard) -> Discarded:
    """Delete dead letters that were not replayed: all that are named, or none."""
    chosen = _chosen(body.letter_ids)

    def count(connection: Connection) -> Discarded:
        return Discarded(path.queue, discarded=False, letters=_waiting(connection, path, chosen, "discarded"))

    def discard(connection: Connection) -> Discarded:
        _waiting(connection, path, chosen, "discarded")
        gone = operations.discard(connection, path.queue, chosen)
        letters.check_all_wait(path.queue, chosen, gone, "discarded")  # another may have been faster
        return Discarded(path.queue, discarded=True, letters=gone)

    if body.dry_run:
        return await desk.read(count)
    target = {"queue": path.queue, "letter_ids": body.letter_ids}
    return await desk.act("dead_letter.discard", target, discard, count=lambda done: done.letters)


def _chosen(letter_ids: list[str]) -> list[int]:
    # In the order of their ids: two requests about the same letters don't lock each other out.
    return sorted(set(map(int, letter_ids)))


def _waiting(connection: Connection, path: InQueue, chosen: list[int], done: str = "replayed") -> int:
    overview.queues(connection, path.queue)  # refuses one that is not there
    count = letters.count_waiting(connection, path.queue, chosen)
    letters.check_all_wait(path.queue, chosen, count, done)
    return count


def _letter(row: dict[str, Any], hide: Callable[[Any], Any]) -> DeadLetter:
    failures = [shaped(FailedAttempt, failure, hide) for failure in row["failures"]]
    return shaped(DeadLetter, {**row, "failures": failures}, hide)
