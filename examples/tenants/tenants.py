"""What the application does: sends for its tenants, and limits each. Also asks how each of them fares."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from psycopg.rows import class_row

from examples.tenants.worker import Render, render
from postmill import Client

if TYPE_CHECKING:
    from typing import Any

    from psycopg import Connection

AT_ONCE = 3  # pages of one tenant, of the six that the worker renders at once


@dataclass(frozen=True, slots=True)
class Tenant:
    """How a tenant fares. Waits count from the send to the start, of those pages that are done."""

    tenant: str
    waiting: int
    running: int
    done: int
    middle_ms: float | None
    longest_ms: float | None


class Shop:
    """The application. With ``fair`` a message's group is its tenant; without, all stand in one line."""

    def __init__(self, connection: Connection[Any], *, fair: bool) -> None:
        self._connection = connection
        self._client = Client(connection)
        self._fair = fair

    def open(self) -> None:
        """Make queue and table, empty, and set the limit."""
        with self._connection.transaction():
            self._connection.execute(_text("schema.sql"))
            self._client.create_queue("renders")
            self._connection.execute("truncate tenants.rendered")
            self._connection.execute("select postmill.purge_queue('renders')")
            self._client.limit_groups("renders", max_running=AT_ONCE)

    def send(self, tenant: str, pages: range) -> None:
        """Send pages of a tenant to be rendered, in one transaction."""
        orders = [Render(tenant, page) for page in pages]
        self._client.send_many(render, orders, group_key=tenant if self._fair else None)

    def look(self) -> list[Tenant]:
        """How every tenant fares now."""
        with self._connection.cursor(row_factory=class_row(Tenant)) as cursor:
            return cursor.execute(_text("look.sql")).fetchall()


def _text(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
