"""HTTP requests that were asked for in SQL, and how the hosts that they go to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from msgspec import Struct

from postmill.api.cursor import Page, Whole, after, paged
from postmill.api.route import resource
from postmill.api.shape import BigId, Moment, Payload, shaped, whole
from postmill.db.tools import calls

if TYPE_CHECKING:
    from postmill.api.desk import Desk
    from postmill.db.tools.connect import Connection

State: TypeAlias = Literal["waiting", "running", "retrying", "answered", "failed", "unknown"]


class ListedCall(Struct, kw_only=True):
    """A call: what is asked for and how it stands. Its headers and body are not shown: they may hold keys."""

    call_id: BigId
    state: str
    method: str | None = None
    function: str | None = None
    url: str | None = None
    status_code: int | None = None
    attempts: int | None = None
    error: str | None = None
    created_by: str | None = None
    at: Moment


class Calls(Struct):
    """Calls: those that have not ended first, then the newest."""

    items: list[ListedCall]
    next: str | None = None


class Call(ListedCall, kw_only=True):
    """One call and its answer, if there is one."""

    content_type: str | None = None
    headers: Payload = None
    content: Payload = None


class InCall(Struct):
    """The path of a call."""

    call_id: BigId


class Which(Page, forbid_unknown_fields=True, kw_only=True):
    """Which calls are listed."""

    state: State | None = None


class CallHost(Struct, kw_only=True):
    """A host with calls that run, wait or have failed in the last five minutes."""

    host: str | None = None
    running: int
    waiting: int
    failed: int
    last_error: str | None = None


class CallHosts(Struct):
    """Those that fail most first."""

    items: list[CallHost]


@resource("GET", "/calls", out=Calls, query=Which)
async def list_calls(desk: Desk, query: Which) -> Calls:
    """Calls; ended ones are kept for six hours."""
    found = await desk.read(
        calls.listed, state=query.state, limit=query.limit + 1, after=after(query, tuple[bool, Whole])
    )
    rows, more = paged(found, query, calls.place)
    return Calls([desk.shaped(ListedCall, row) for row in rows], more)


@resource("GET", "/calls/{call_id}", out=Call, in_path=InCall)
async def show_call(desk: Desk, path: InCall) -> Call:
    """One call and its answer."""
    return desk.shaped(Call, await desk.read(calls.one, int(path.call_id)))


@resource("POST", "/calls/{call_id}/reveal", out=Call, in_path=InCall)
async def reveal_call(desk: Desk, path: InCall) -> Call:
    """One call and its answer with its secrets; the audit says that a viewer has seen them."""

    def reveal(connection: Connection) -> Call:
        found: dict[str, Any] = calls.one(connection, int(path.call_id))
        return shaped(Call, found, whole)

    return await desk.reveal("call.reveal", path, reveal)


@resource("GET", "/call-hosts", out=CallHosts)
async def list_call_hosts(desk: Desk) -> CallHosts:
    """Hosts with calls that run, wait, or have failed lately."""
    return CallHosts([desk.shaped(CallHost, row) for row in await desk.read(calls.hosts)])
