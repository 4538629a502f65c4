"""Flows that programs have registered, and their shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct

from postmill.api.cursor import Page, after, paged
from postmill.api.route import Named, resource
from postmill.api.shape import Moment, Payload
from postmill.db.tools import runs

if TYPE_CHECKING:
    from postmill.api.desk import Desk


class ListedFlow(Struct, kw_only=True):
    """A flow with its newest version, and how many of its runs have not ended."""

    flow: str
    version: int
    kind: str
    queue: str
    registered_at: Moment
    steps: int
    live: int


class Flows(Struct):
    """Flows, by name."""

    items: list[ListedFlow]
    next: str | None = None


class Flow(Struct, kw_only=True):
    """A version of a flow. ``shape`` has its steps in the order of their definition, with what each needs."""

    flow: str
    version: int
    kind: str
    queue: str
    created_at: Moment
    registered_at: Moment
    live: int
    versions: list[int]
    shape: Payload


class InFlow(Struct):
    """The path of a flow."""

    flow: Named


class Version(Struct, forbid_unknown_fields=True):
    """Which version; the newest without it."""

    version: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None


@resource("GET", "/flows", out=Flows, query=Page)
async def list_flows(desk: Desk, query: Page) -> Flows:
    """Flows with their newest version, by name."""
    found = await desk.read(runs.flows, limit=query.limit + 1, after=after(query, str) or "")
    rows, more = paged(found, query, _name)
    return Flows([desk.shaped(ListedFlow, row) for row in rows], more)


@resource("GET", "/flows/{flow}", out=Flow, in_path=InFlow, query=Version)
async def show_flow(desk: Desk, path: InFlow, query: Version) -> Flow:
    """A version of a flow with its shape."""
    return desk.shaped(Flow, await desk.read(runs.flow, path.flow, query.version))


def _name(row: dict[str, Any]) -> str:
    return str(row["flow"])
