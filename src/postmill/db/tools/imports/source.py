"""A table that an import reads, in this database or in another one, which is read and never written to."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from postmill.db.tools.connect import connect, translated
from postmill.model.config.address import parse
from postmill.model.errors import NotFound, Refused
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from postmill.db.tools.connect import Connection
    from postmill.model.config.address import Address


@dataclass(frozen=True, slots=True)
class Source:
    """Where an import reads."""

    connection: Connection
    address: Address | None
    """Of another database; None: it is this one."""

    @property
    def is_here(self) -> bool:
        """Whether it is the database that is imported into."""
        return self.address is None

    def rows(self, text: str, *values: object) -> list[dict[str, Any]]:
        """What a statement reads. Raises an error where row-level security would hide rows."""
        with self._in_our_words(), self.connection.transaction():
            self.connection.execute(statement("import_all_rows"))
            return self.connection.execute(text, values or None).fetchall()

    def _in_our_words(self) -> AbstractContextManager[None]:
        return translated(self.address) if self.address else nullcontext()


@dataclass(frozen=True, slots=True)
class SourceTable:
    """One table of a source."""

    source: Source
    name: str
    """Quoted for SQL text."""
    mark: str
    """The server, the database and the table: the same whatever address leads there."""
    columns: frozenset[str]

    def rows(self, name: str, *values: object, flags: Iterable[str] = ()) -> list[dict[str, Any]]:
        """What the named statement reads from this table."""
        return self.source.rows(statement(name, *flags).replace("{source}", self.name), *values)


@contextmanager
def source_at(connection: Connection, url: str | None) -> Iterator[Source]:
    """The database at ``url``, or that of ``connection`` for None. Raises :class:`Refused` for the address of
    the same database.
    """
    if url is None:
        yield Source(connection, None)
        return
    address = parse(url, source="--from")
    with connect(address, application_name="postmill import") as opened:
        opened.read_only = True
        source = Source(opened, address)
        if _database(source) == _database(Source(connection, None)):
            raise Refused(
                "The address of --from leads to the database that is imported into.",
                why="There, rows are moved and not copied.",
                hint="Leave --from out.",
            )
        yield source


def table(source: Source, name: str, needed: frozenset[str], kind: str, *, hint: str) -> SourceTable:
    """The table of that name. Raises :class:`NotFound`, and :class:`Refused` when it is a view, or lacks a
    column of ``kind``.
    """
    found = source.rows(statement("import_table"), name)
    if not found:
        raise NotFound(f"There is no table {name}{_where(source)}.", hint=hint)
    row = found[0]
    if not row["is_table"]:
        raise Refused(f"{row['name']} is not {kind}.", why="It is a view.", hint=hint)
    missing = sorted(needed.difference(row["columns"]))
    if missing:
        raise Refused(
            f"{row['name']} is not {kind}.", why=f"It has no column {', '.join(missing)}.", hint=hint
        )
    return SourceTable(source, row["name"], f"{row['database']}/{row['name']}", frozenset(row["columns"]))


def _where(source: Source) -> str:
    return f" in {source.address.masked}" if source.address else ""


def _database(source: Source) -> object:
    return source.rows(statement("import_table"), "pg_catalog.pg_class")[0]["database"]
