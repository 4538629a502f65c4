"""Runs a statement under EXPLAIN as a worker would run it, and answers questions about its plan."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from postmill.sql.catalog import statement
from tests import servers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from postmill.embedded import Server

Database = psycopg.Connection[dict[str, Any]]
Node = dict[str, Any]

ANALYSED = "vacuum analyze"
_EXPLAIN = "explain (analyze, buffers, timing off, format json) "
_USED = """
select sum(pg_stat_get_xact_blocks_fetched(class.oid)) as pages,
       sum(pg_stat_get_xact_numscans(class.oid)) filter (where relkind = 'r') as whole_reads
  from pg_class as class
 where class.relnamespace in ('pgmq'::regnamespace, 'postmill'::regnamespace)
"""


@contextmanager
def prepared(server: Server, setup: str, *more: str) -> Iterator[Database]:
    """A plain connection to a database of its own, on which the statements of ``setup`` have run, and
    ``more`` after them. They run once: every process of the tests has a copy.
    """
    template = servers.template_after(server.url, [*setup.split(";\n"), *more])
    with servers.cloned_database(server.url, template) as url, servers.session(url) as connection:
        yield connection


@dataclass(frozen=True)
class Plan:
    """What was executed, as the server tells it."""

    root: Node

    @property
    def nodes(self) -> list[Node]:
        """Every node that ran at least once."""
        return [node for node in _walk(self.root) if node.get("Actual Loops", 1)]

    @property
    def sorts(self) -> int:
        """How many nodes sort."""
        return sum("Sort" in node["Node Type"] for node in self.nodes)

    @property
    def buffers(self) -> int:
        """Pages looked at: what the root counts, which is all that ran below it, and what common table
        expressions wrote that nothing reads. These run after the root.
        """
        read = {f"CTE {node['CTE Name']}" for node in self.nodes if node["Node Type"] == "CTE Scan"}
        written = [
            node for node in self.nodes if node["Node Type"] == "ModifyTable" and node is not self.root
        ]
        return sum(map(_pages, [self.root, *(node for node in written if node["Subplan Name"] not in read)]))

    @property
    def compared_in_vain(self) -> int:
        """Pairs of rows that a join has looked at for nothing. A loop over two lists looks at all pairs."""
        return sum(
            int(node.get("Rows Removed by Join Filter", 0) * node["Actual Loops"]) for node in self.nodes
        )

    def read_whole(self) -> set[str]:
        """Relations that were read from one end to the other."""
        scans = {"Seq Scan", "Bitmap Heap Scan"}
        return {node["Relation Name"] for node in self.nodes if node["Node Type"] in scans}

    def rows_read(self, relation: str) -> int:
        """How many rows of a relation were looked at, whether they were wanted or not."""
        return sum(_rows(node) for node in self.nodes if node.get("Relation Name") == relation)

    def indexes(self, relation: str) -> set[str]:
        """By which indexes a relation was read."""
        return {
            node["Index Name"]
            for node in self.nodes
            if "Index Name" in node and node.get("Relation Name") == relation
        }


def explained(db: Database, text: str, arguments: Sequence[object], *, pins: str) -> Plan:
    """The plan of ``text``, executed and rolled back.

    With ``pins`` session it is a prepared statement, as on a connection of one's own, where the plan must not
    depend on the arguments; with local it is planned for these arguments, as behind a pooler.
    """
    with db.transaction(force_rollback=True):
        db.execute(statement("session_pins", pins).encode())
        if pins == "session":
            db.execute(b"deallocate all")  # a rollback keeps what an earlier failure has left prepared
            db.execute(f"prepare hot as {text}".encode())
            call = sql.SQL("execute hot ({})").format(sql.SQL(", ").join(map(sql.Literal, arguments)))
            found = db.execute(_EXPLAIN.encode() + call.as_bytes(db)).fetchone()
        else:
            found = db.execute((_EXPLAIN + text).encode(), arguments).fetchone()
    assert found is not None
    return Plan(found["QUERY PLAN"][0]["Plan"])


def pages_of(db: Database, text: str, arguments: Sequence[object]) -> tuple[int, int]:
    """What ``text`` costs with all that the functions it calls do: pages looked at, and tables read whole."""
    with db.transaction(force_rollback=True):
        db.execute(statement("session_pins", "local").encode())
        before = db.execute(_USED.encode()).fetchone()
        db.execute(text.encode(), arguments)
        after = db.execute(_USED.encode()).fetchone()
    assert before is not None
    assert after is not None
    return int(after["pages"] - before["pages"]), int(after["whole_reads"] - before["whole_reads"])


def _children(node: Node) -> list[Node]:
    children: list[Node] = node.get("Plans", [])
    return children


def _pages(node: Node) -> int:
    return int(node["Shared Hit Blocks"] + node["Shared Read Blocks"])


def _rows(node: Node) -> int:
    seen = node["Actual Rows"] + sum(
        node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck")
    )
    return int(seen * node["Actual Loops"])


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in _children(node):
        yield from _walk(child)
