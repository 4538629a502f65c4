"""The search for messages of a queue, wherever they are by now. It tells no viewer what it would not show."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct

from postmill.api.cursor import SHOWN, Limit
from postmill.api.resources.queues import InQueue
from postmill.api.route import Named, resource
from postmill.api.shape import BigId, Moment, Payload
from postmill.api.viewer import Role
from postmill.db.reads import search, search_indexes
from postmill.model.errors import InvalidSearch
from postmill.model.search.condition import fields_of
from postmill.model.search.language import parse

if TYPE_CHECKING:
    from postmill.api.desk import Desk

LONGEST = 2_000
"""Characters of a search at most. Two thousand: it fits into an address of every browser and proxy."""


class FoundMessage(Struct, kw_only=True):
    """A message that was found."""

    msg_id: BigId
    state: str
    attempts: int | None = None
    read_ct: int | None = None
    enqueued_at: Moment | None = None
    vt: Moment | None = None
    worker_id: UUID | None = None
    last_error: str | None = None
    finished_at: Moment | None = None
    message: Payload = None
    headers: Payload = None


class Found(Struct, kw_only=True):
    """Messages that match, the newest first, and how far was looked: at ids from ``low`` to ``high``, back to
    about the moment ``back_to``. The next page is ``before`` the id ``next_below``; without one all was
    looked at. ``is_cut``: a statement took too long, and what it would have looked at is still to come.
    """

    rows: list[FoundMessage]
    low: BigId
    high: BigId
    back_to: Moment | None = None
    next_below: BigId | None = None
    is_cut: bool
    index_on: str | None = None
    """The time was up, and an index on this place would have found them: ``postmill index create``."""


class Sought(Struct, forbid_unknown_fields=True, kw_only=True):
    """``q`` is a text in the language of ``postmill message search``; its queue is that of the path."""

    q: Annotated[str, Meta(max_length=LONGEST, examples=["state:dead error:Timeout"])]
    before: BigId | None = None
    limit: Limit = SHOWN


@resource("GET", "/queues/{queue}/search", out=Found, in_path=InQueue, query=Sought)
async def search_messages(desk: Desk, path: InQueue, query: Sought) -> Found:
    """Messages of a queue that match a search, wherever they are. It looks for two seconds at most. A reader
    can't search for what is left out of payloads: a place with the name of a secret is refused, and a text is
    found only in what is shown.
    """
    wanted = parse(query.q)
    if (wanted.queue or path.queue).lower() != path.queue.lower():
        raise InvalidSearch(f"This looks in queue {path.queue}.", hint="Leave queue: out.")
    if desk.house.hide.names_one(fields_of(wanted)):
        desk.check_is_operator("message.search")
    sees_all = desk.viewer.role is Role.OPERATOR or not wanted.words

    def is_shown(row: dict[str, Any]) -> bool:
        return desk.house.hide.shows(row["message"], wanted.words)

    found = await desk.read(
        search.search,
        replace(wanted, queue=path.queue),
        limit=query.limit,
        below=None if query.before is None else int(query.before),
        keep=None if sees_all else is_shown,
    )
    return Found(
        rows=[desk.shaped(FoundMessage, row) for row in found.rows],
        low=str(found.low),
        high=str(found.high),
        back_to=found.back_to,
        next_below=None if found.next_below is None else str(found.next_below),
        is_cut=found.is_cut,
        index_on=found.index_on,
    )


class SearchIndex(Struct, kw_only=True):
    """An index by which searches for a place find its values, of one table. ``state``: built, building,
    unfinished (building was interrupted) or missing. ``definition`` is the SQL that makes it.
    """

    queue: str
    place: str
    table_name: str
    index_name: str
    state: str
    size_bytes: int | None = None
    created_at: Moment
    definition: str


class SearchIndexes(Struct):
    """Two for each place, by queue and place."""

    items: list[SearchIndex]


class OfQueue(Struct, forbid_unknown_fields=True):
    """Which queue's indexes are listed."""

    queue: Named | None = None


@resource("GET", "/search-indexes", out=SearchIndexes, query=OfQueue)
async def list_search_indexes(desk: Desk, query: OfQueue) -> SearchIndexes:
    """The indexes by which searches find values in what is done or dead."""
    found = await desk.read(search_indexes.listed, query.queue)
    return SearchIndexes([desk.shaped(SearchIndex, row) for row in found])
