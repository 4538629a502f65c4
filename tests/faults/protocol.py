"""The statements of the claim protocol as the engine sends them, real or with a deliberate mistake put in.

Texts and arguments come from the product itself; this module only sends them. One difference from production:
rescue judges at once, while the real one waits until the server is some seconds old, which no test should sit
through.
"""

from __future__ import annotations

import re
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from postmill.engine.settle.settlement import Settlement, Settlings, Statements
from postmill.engine.settle.statements import OWN
from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement, scripts, statement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from postmill.engine.settle.settlement import Pair

Database = psycopg.Connection[dict[str, Any]]


@dataclass(frozen=True)
class Change:
    """In statement or function ``name``, what the pattern ``old`` matches becomes ``new``."""

    name: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        """The changed text. Raises LookupError when there is nothing to change.

        It is no assertion, which a control would take for the mistake that it looks for.
        """
        changed, count = re.subn(self.old, self.new, text)
        if not count:
            raise LookupError(f"{self.name}.sql no longer has {self.old!r}")
        return changed


_SILENT = {"close_claims", "worker_start", "worker_stop"}
"""Statements that answer nothing."""
YOUNG_SERVER = Change(
    "_server_since", r"select greatest[\s\S]*'walwriter'\)\)", "select '-infinity'::timestamptz"
)


class Protocol:
    """One queue of one database, spoken to as a worker does."""

    def __init__(self, db: Database, queue: str, *changes: Change) -> None:
        self.db = db
        self.queue = queue
        self._changes = changes
        relation = db.execute(b"select to_regclass($1)::oid::bigint as oid", [f"pgmq.q_{queue}"]).fetchone()
        assert relation is not None
        self.shape = QueueShape(queue, relation["oid"])
        self.history = self.hint()["history"]
        self._change_functions()

    def on(self, db: Database) -> Protocol:
        """The same on another session."""
        other = copy(self)
        other.db = db
        return other

    def hint(self) -> dict[str, Any]:
        """Where a new cursor may start, and the history that it belongs to."""
        text = queue_statement("cursor_hint_read", self.shape)
        return self._row("cursor_hint_read", text, [self.queue])

    def claim(
        self, worker_id: UUID, lane: str, above: object, limit: int, up_to: int | None = None, *,
        lease_s: float, max_bytes: int = 1_000_000, flags: tuple[str, ...] = (),
    ) -> dict[str, Any]:  # fmt: skip
        """One claim: its row of arrays."""
        edge = (self.history,) if up_to is None else (self.history, up_to)
        arguments = (above, limit, timedelta(seconds=lease_s), worker_id, self.queue, max_bytes, *edge)
        return self._row("claim", queue_statement("claim", self.shape, lane, *flags), arguments)

    def claim_gated(
        self, worker_id: UUID, bounds: Sequence[object], limit: int, *,
        lease_s: float, max_bytes: int = 1_000_000, flags: tuple[str, ...] = (),
    ) -> dict[str, Any]:  # fmt: skip
        """One claim of what waits for its group: its row of arrays. ``bounds``: those of the gated lane."""
        after_key, *known = bounds
        lease = timedelta(seconds=lease_s)
        arguments = (after_key, limit, lease, worker_id, self.queue, max_bytes, self.history, *known)
        return self._row("claim_gated", queue_statement("claim_gated", self.shape, *flags), arguments)

    def renew(
        self, tokens: Sequence[tuple[int, int, int]], lease_s: float, claims: dict[int, int] | None = None
    ) -> dict[int, dict[str, Any]]:
        """Renew leases by token (id, read_ct, vt in µs). What became of each, by id. ``claims``: by id, of
        messages whose last renewal got no answer.
        """
        ids, read_cts, vts = (list(part) for part in zip(*sorted(tokens), strict=True))
        text = self._changed("renew", queue_statement("renew", self.shape))
        doubtful = [(claims or {}).get(msg_id) for msg_id in ids]
        rows = self.db.execute(text, [ids, read_cts, vts, timedelta(seconds=lease_s), doubtful]).fetchall()
        return {row["msg_id"]: row for row in rows}

    def settle(
        self, worker_id: UUID, pairs: list[Pair], finished: list[int], touched: list[int], *,
        archive: bool = True, keep_results: bool = False,
    ) -> list[int]:  # fmt: skip
        """Write down outcomes of one kind. The ids that were really settled."""
        settlement = Settlement(Settlings(OWN).find(pairs[0][1]), pairs, finished, touched)
        text, arguments = Statements(self.shape, worker_id, archive=archive, keep_results=keep_results).call(
            settlement
        )
        names = {"cancel": "cancel_running", "close": "close_claims"}
        name = names.get(settlement.kind, settlement.kind)
        row = self._row(name, text, arguments)
        return sorted(row["settled"]) if row else []

    def rescue(self) -> list[dict[str, Any]]:
        """Give back what gone workers hold: queue, worker and ids, one row a claim."""
        return self.db.execute(statement("rescue").encode(), [100, "-infinity"]).fetchall()

    def beat(
        self,
        worker_id: UUID,
        running: list[int],
        claims: list[int],
        lease_s: float,
        lock_key: int | None,
    ) -> dict[str, Any]:
        """A worker's sign of life, with what it runs, the claims it knows of and the lock that it holds."""
        arguments = (worker_id, len(running), self.queue, running, claims, lease_s, 0.0, lock_key)
        return self._row("worker_heartbeat", statement("worker_heartbeat"), arguments)

    def _row(self, name: str, text: str, arguments: Sequence[object]) -> dict[str, Any]:
        cursor = self.db.execute(self._changed(name, text), arguments)
        return (cursor.fetchone() if name not in _SILENT else None) or {}

    def _changed(self, name: str, text: str) -> bytes:
        for change in self._changes:
            if change.name == name:
                text = change.apply(text)
        return text.encode()

    def _change_functions(self) -> None:
        functions = dict(scripts("functions"))
        changes = [YOUNG_SERVER, *(change for change in self._changes if change.name in functions)]
        for change in changes:
            if change.name in functions:
                functions[change.name] = change.apply(functions[change.name])
        for name in {change.name for change in changes}:
            self.db.execute(functions[name].encode())
