"""The crawl as the database tells it: start one, ask where it stands. Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from psycopg.rows import class_row

if TYPE_CHECKING:
    from typing import Any

    from psycopg import Connection


@dataclass(frozen=True, slots=True)
class Account:
    """Every page that was sent, by how it ended, and what was found on the way; times as the names say."""

    sent: int
    done: int
    dead: int
    waiting: int
    both: int
    links: int
    bytes: int
    retries: int
    functions: int
    classes: int
    p50_ms: float | None
    p95_ms: float | None
    most_s: float | None
    all_s: float | None

    @property
    def settled(self) -> int:
        """Pages that have come to an end, good or bad."""
        return self.done + self.dead

    @property
    def ended(self) -> bool:
        """Every page that was sent is done or dead."""
        return self.sent > 0 and self.waiting == 0

    @property
    def exact(self) -> bool:
        """No page was lost and none ended twice."""
        return self.sent == self.done + self.dead and self.both == 0

    @property
    def attempts(self) -> int:
        """Of the pages that have come to an end."""
        return self.settled + self.retries


@dataclass(frozen=True, slots=True)
class Letter:
    """A page that was given up."""

    url: str
    attempts: int
    reason: str


def start(connection: Connection[Any], first: str) -> None:
    """Begin a fresh crawl at ``first``: forget the last one's findings and what it left in the queue."""
    with connection.transaction():
        connection.execute(_text("schema.sql"))
        connection.execute("truncate scraper.pages, scraper.definitions")
        connection.execute("select postmill.purge_queue('pages')")
        connection.execute("insert into scraper.pages (url) values ($1)", [first])
        connection.execute("select postmill.send('pages', jsonb_build_object('url', $1::text))", [first])


def take(connection: Connection[Any]) -> Account:
    """Where the crawl stands now."""
    with connection.cursor(row_factory=class_row(Account)) as cursor:
        row = cursor.execute(_text("account.sql")).fetchone()
    assert row is not None, "an aggregate always has a row"
    return row


def dead_letters(connection: Connection[Any]) -> list[Letter]:
    """The pages that were given up, those that were tried most last."""
    with connection.cursor(row_factory=class_row(Letter)) as cursor:
        return cursor.execute(_text("dead.sql")).fetchall()


def _text(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
