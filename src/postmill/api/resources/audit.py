"""What was done here, and by which viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from postmill.api.cursor import Page, Whole, after, paged
from postmill.api.route import Named, resource
from postmill.api.shape import BigId, Moment, Payload
from postmill.db.reads import audit

if TYPE_CHECKING:
    from postmill.api.desk import Desk


class Action(Struct, kw_only=True):
    """An action: by which viewer, from where, on what, and to how many."""

    audit_id: BigId
    at: Moment
    viewer: str
    role: str
    source: str
    login: str
    """The database's user that did it."""
    action: str
    target: Payload
    affected: int | None = None


class Actions(Struct):
    """Actions, the newest first."""

    items: list[Action]
    next: str | None = None


class Which(Page, forbid_unknown_fields=True, kw_only=True):
    """Which viewer's actions are listed."""

    viewer: Named | None = None


@resource("GET", "/audit", out=Actions, query=Which)
async def list_audit(desk: Desk, query: Which) -> Actions:
    """Actions, the newest first; they are kept for 90 days."""
    found = await desk.read(
        audit.listed, limit=query.limit + 1, before=after(query, Whole), viewer=query.viewer
    )
    rows, more = paged(found, query, lambda row: row["audit_id"])
    return Actions([desk.shaped(Action, row) for row in rows], more)
