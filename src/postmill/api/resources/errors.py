"""Errors that are alike: failed attempts with one fingerprint, and what was decided about them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, Struct

from postmill.api.cursor import MOST_SHOWN, Limit, Page, after, paged
from postmill.api.resources.messages import FailedAttempt
from postmill.api.resources.operations import Operation, Rate
from postmill.api.route import Named, resource
from postmill.api.shape import BigId, Moment
from postmill.db.reads import errors, operations
from postmill.db.tools import many

if TYPE_CHECKING:
    from postmill.api.desk import Desk
    from postmill.db.tools.connect import Connection


class ListedError(Struct, kw_only=True):
    """An error: open, ignored or resolved. ``times``: how many attempts have failed so; ``last_24_hours``: in
    each hour, the oldest first.
    """

    fingerprint: str
    state: str
    reopened: bool | None = None
    """It was resolved, and has been seen again."""
    kind: str
    error_type: str | None = None
    error_message: str | None = None
    times: int
    messages: int
    queues: list[str]
    first_seen: Moment
    last_seen: Moment
    last_24_hours: list[int]
    changed_by: str | None = None
    changed_at: Moment | None = None


class Errors(Struct):
    """Errors, the one seen last first."""

    items: list[ListedError]
    next: str | None = None


class FailureOfError(FailedAttempt, kw_only=True):
    """A failed attempt, and at which message. ``message_state`` is null where the message is there no more;
    ``letter_id`` is the dead letter that was put back as a new message.
    """

    queue: str
    msg_id: BigId
    message_state: str | None = None
    letter_id: BigId | None = None


class ShownError(ListedError, kw_only=True):
    """One error with its latest failed attempts; ``last_30_days``: how many there were in each 24 hours, the
    oldest first, also where the attempts are deleted.
    """

    failures: list[FailureOfError]
    last_30_days: list[int]


class Which(Page, forbid_unknown_fields=True, kw_only=True):
    """Which errors are listed. ``open``: those that are neither ignored nor resolved."""

    queue: Named | None = None
    open: bool = False
    limit: Limit = MOST_SHOWN


class InError(Struct):
    """The path of an error."""

    fingerprint: Annotated[str, Meta(pattern="^[0-9a-f]{1,64}$", examples=["0f3c9a1b"])]


class Decision(Struct, forbid_unknown_fields=True):
    """What an error is from now on. A resolved one is open again when it is seen again."""

    state: Literal["open", "ignored", "resolved"]


class Retry(Struct, forbid_unknown_fields=True, kw_only=True):
    """How fast: so many a second in each queue, or as fast as it goes."""

    per_second: Rate | None = None


class Retried(Struct):
    """The operations that were started; none when no message waits and no letter is dead of the error."""

    items: list[Operation]


@resource("GET", "/errors", out=Errors, query=Which)
async def list_errors(desk: Desk, query: Which) -> Errors:
    """Errors of a queue or of all, the one seen last first."""
    found = await desk.read(
        errors.listed,
        query.queue,
        limit=query.limit + 1,
        unsettled=query.open,
        behind=after(query, tuple[Moment, str]),
    )
    rows, more = paged(found, query, lambda row: (row["last_seen"], row["fingerprint"]))
    return Errors([desk.shaped(ListedError, {**row, "times": row["failures"]}) for row in rows], more)


@resource("GET", "/errors/{fingerprint}", out=ShownError, in_path=InError)
async def show_error(desk: Desk, path: InError) -> ShownError:
    """One error with its latest failed attempts."""
    return _shown(desk, await desk.read(errors.one, path.fingerprint))


@resource("PUT", "/errors/{fingerprint}/state", out=ShownError, in_path=InError, body=Decision)
async def decide_error(desk: Desk, path: InError, body: Decision) -> ShownError:
    """Say that an error is mended, needs nothing to be done, or is open."""

    def decide(connection: Connection) -> ShownError:
        errors.one(connection, path.fingerprint)  # refuses one that is not there
        many.decide(connection, path.fingerprint, body.state)
        return _shown(desk, errors.one(connection, path.fingerprint))

    return await desk.act("error.state", {"fingerprint": path.fingerprint, "state": body.state}, decide)


@resource(
    "POST",
    "/errors/{fingerprint}/retry",
    out=Retried,
    in_path=InError,
    body=Retry,
    status=HTTPStatus.CREATED,
)
async def retry_error(desk: Desk, path: InError, body: Retry) -> Retried:
    """Try again what failed so: messages that wait for their next attempt, and dead letters. One operation
    for each queue and each of both.
    """
    condition = {"fingerprint": path.fingerprint}

    def retry(connection: Connection) -> Retried:
        started = []
        for queue in errors.queues(connection, path.fingerprint):
            for kind in ("retry", "replay"):
                planned = many.plan(connection, kind, queue, condition)
                if planned["matching"] or not planned["complete"]:
                    made = many.start(connection, kind, queue, condition, planned, body.per_second)
                    started.append(desk.shaped(Operation, operations.one(connection, made)))
        return Retried(started)

    return await desk.act("error.retry", condition, retry, count=_expected)


def _expected(done: Retried) -> int | None:
    """On how many; None where not all were looked at."""
    counted = [each.expected for each in done.items if each.expected is not None]
    return sum(counted) if len(counted) == len(done.items) else None


def _shown(desk: Desk, row: dict[str, Any]) -> ShownError:
    failures = [desk.shaped(FailureOfError, failure) for failure in row["failures"]]
    return desk.shaped(ShownError, {**row, "failures": failures})
