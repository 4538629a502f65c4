"""Errors that are alike: failed attempts with one fingerprint, and what was decided about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, Struct

from postmill.api.cursor import MOST_SHOWN, Limit
from postmill.api.resources.messages import FailedAttempt
from postmill.api.route import Named, resource
from postmill.api.shape import BigId, Moment
from postmill.db.reads import errors
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


class FailureOfError(FailedAttempt, kw_only=True):
    """A failed attempt, and at which message."""

    queue: str
    msg_id: BigId


class ShownError(ListedError, kw_only=True):
    """One error with its latest failed attempts."""

    failures: list[FailureOfError]


class Which(Struct, forbid_unknown_fields=True, kw_only=True):
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


@resource("GET", "/errors", out=Errors, query=Which)
async def list_errors(desk: Desk, query: Which) -> Errors:
    """Errors of a queue or of all, the one seen last first."""
    rows = await desk.read(errors.listed, query.queue, limit=query.limit, unsettled=query.open)
    return Errors([desk.shaped(ListedError, {**row, "times": row["failures"]}) for row in rows])


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


def _shown(desk: Desk, row: dict[str, Any]) -> ShownError:
    failures = [desk.shaped(FailureOfError, failure) for failure in row["failures"]]
    return desk.shaped(ShownError, {**row, "failures": failures})
