"""Operations: one thing done to many messages or dead letters of a queue, page by page."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from msgspec import Meta, Struct

from postmill.api.cursor import Page, Whole, after, paged
from postmill.api.problem import Failure
from postmill.api.resources.queues import InQueue
from postmill.api.resources.search import LONGEST
from postmill.api.route import Named, resource
from postmill.api.shape import BigId, Moment, Payload
from postmill.db.reads import operations
from postmill.db.tools import many
from postmill.model.search.condition import Kind, condition
from postmill.model.search.language import text_of

if TYPE_CHECKING:
    from postmill.api.desk import Desk
    from postmill.db.tools.connect import Connection

Rate: TypeAlias = Annotated[float, Meta(ge=0.01, le=1_000_000)]
"""Messages in a second."""


class Operation(Struct, kw_only=True):
    """An operation: what it does to which messages, how far it is, and what became of them so far."""

    operation_id: BigId
    kind: str
    queue: str
    target: str | None = None
    """Where a move goes."""
    filter: Payload
    state: str
    expected: int | None = None
    done: int
    skipped: int
    failed: int
    busy: int
    per_second: float | None = None
    requested_by: str | None = None
    requested_at: Moment
    ended_at: Moment | None = None
    error: str | None = None


class Operations(Struct):
    """Operations, the newest first."""

    items: list[Operation]
    next: str | None = None


class Which(Page, forbid_unknown_fields=True, kw_only=True):
    """Which operations are listed. ``running``: those that have not ended."""

    running: bool = False


class InOperation(Struct):
    """The path of an operation."""

    operation_id: BigId


class OperationRow(Struct, kw_only=True):
    """What became of a message or a letter."""

    id: BigId
    outcome: str
    detail: Payload = None


class OperationRows(Struct):
    """What became of each, by id."""

    items: list[OperationRow]
    next: str | None = None


class WhichRows(Page, forbid_unknown_fields=True, kw_only=True):
    """Of which outcome."""

    outcome: Named | None = None


class NewOperation(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to be done to all that match ``search``, in the language of ``postmill message search``, or
    ``filter``, as SQL has it; without both every one is meant. With the ``upper_id``, the ``expected`` and
    the ``search`` of a plan it is about those that the plan counted, and they are not counted again.
    ``target``: the queue that a move goes to.
    """

    kind: Kind
    search: Annotated[str, Meta(max_length=LONGEST, examples=["state:retrying error:Timeout"])] | None = None
    filter: Annotated[dict[str, Any], Meta(max_length=20)] = {}
    target: Named | None = None
    per_second: Rate | None = None
    upper_id: BigId | None = None
    expected: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None


class Plan(Struct):
    """How many there are, up to which id. ``complete``: all were looked at; else there may be more.
    ``search``: the one that was asked for, with moments in place of times before now, so that it stays one.
    """

    matching: int
    upper_id: BigId
    complete: bool
    search: str | None = None


@resource("GET", "/operations", out=Operations, query=Which)
async def list_operations(desk: Desk, query: Which) -> Operations:
    """Operations, the newest first."""
    found = await desk.read(
        operations.listed, limit=query.limit + 1, unfinished=query.running, before=after(query, Whole)
    )
    rows, more = paged(found, query, lambda row: row["operation_id"])
    return Operations([desk.shaped(Operation, row) for row in rows], more)


@resource("GET", "/operations/{operation_id}", out=Operation, in_path=InOperation)
async def show_operation(desk: Desk, path: InOperation) -> Operation:
    """How an operation stands."""
    return desk.shaped(Operation, await desk.read(operations.one, int(path.operation_id)))


@resource("GET", "/operations/{operation_id}/rows", out=OperationRows, in_path=InOperation, query=WhichRows)
async def list_operation_rows(desk: Desk, path: InOperation, query: WhichRows) -> OperationRows:
    """What became of each message or letter of an operation."""
    begin = after(query, Whole) or 0

    def read(connection: Connection) -> list[dict[str, Any]]:
        number = int(path.operation_id)
        operations.one(connection, number)  # refuses one that is not there
        return operations.outcomes(connection, number, query.outcome, query.limit + 1, after=begin)

    rows, more = paged(await desk.read(read), query, lambda row: row["id"])
    return OperationRows([desk.shaped(OperationRow, row) for row in rows], more)


@resource("POST", "/queues/{queue}/operation-plan", out=Plan, in_path=InQueue, body=NewOperation)
async def plan_operation(desk: Desk, path: InQueue, body: NewOperation) -> Plan:
    """How many an operation would be about. Nothing is done, and a reader may ask; but not by secrets, which
    could be guessed so, and not by texts, which are looked for in secrets too.
    """
    wanted, search = await _wanted(desk, path, body)
    if desk.house.hide.names_one(wanted) or "words" in wanted:
        desk.check_is_operator("operation.plan")
    planned = await desk.read(many.plan, body.kind, path.queue, wanted, body.target)
    return desk.shaped(Plan, {**planned, "search": search})


@resource(
    "POST",
    "/queues/{queue}/operations",
    out=Operation,
    in_path=InQueue,
    body=NewOperation,
    status=HTTPStatus.CREATED,
)
async def start_operation(desk: Desk, path: InQueue, body: NewOperation) -> Operation:
    """Ask for something to be done to all messages or letters of a queue that match and are there now. A
    process that runs operations carries it out.
    """

    wanted, _ = await _wanted(desk, path, body)

    def start(connection: Connection) -> Operation:
        if body.upper_id is None:
            planned = many.plan(connection, body.kind, path.queue, wanted, body.target)
        else:
            known = body.expected is not None
            planned = {"upper_id": int(body.upper_id), "matching": body.expected, "complete": known}
        made = many.start(connection, body.kind, path.queue, wanted, planned, body.per_second, body.target)
        return desk.shaped(Operation, operations.one(connection, made))

    told = {"queue": path.queue, "kind": body.kind, "filter": wanted}
    if body.target is not None:
        told["target"] = body.target
    return await desk.act("operation.start", told, start, count=lambda made: made.expected)


@resource("POST", "/operations/{operation_id}/abort", out=Operation, in_path=InOperation)
async def abort_operation(desk: Desk, path: InOperation) -> Operation:
    """End an operation where it is: what it has done stays done."""

    def abort(connection: Connection) -> Operation:
        many.abort(connection, int(path.operation_id))
        return desk.shaped(Operation, operations.one(connection, int(path.operation_id)))

    return await desk.act("operation.abort", path, abort)


async def _wanted(desk: Desk, path: InQueue, body: NewOperation) -> tuple[dict[str, Any], str | None]:
    """The filter that is meant, and the search that says so."""
    if body.search is None:
        return body.filter, None
    if body.filter:
        raise Failure(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "invalid-payload",
            "Both a search and a filter are given.",
            hint="Give one of them.",
        )
    sought = await desk.read(many.searched, body.search)
    return condition(sought, body.kind, path.queue), text_of(sought)
