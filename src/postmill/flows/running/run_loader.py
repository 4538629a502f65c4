"""Loads runs of workflows: all that one worker begins at the same time, with one statement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from postmill.flows.running.replay import Recorded, Replay, SentSignal
from postmill.flows.running.together import Together
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from postmill.db.hot.shared_connection import SharedConnection

_Key = tuple[int, int]
_COLUMNS = ("states", "outputs", "inputs", "reasons", "waited_s", "attempts", "left_s")
"""Of the steps, in the order of the fields of :class:`Recorded`."""


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """A run as the database has it."""

    run_id: int
    wake: int
    is_live: bool
    """Whether it goes on under the message that asked; if not, the message is stale."""
    flow: str
    state: str
    input: str
    """JSON text."""
    reason: str | None
    """With the state ``undoing``: why it fails."""
    culprit: str | None
    events: int
    """How many events the function itself has sent."""
    replay: Replay


class RunLoader:
    """The queries of one worker, which has these flows: a run of another one is not begun."""

    def __init__(self, flows: Iterable[str]) -> None:
        self._flows = list(flows)
        self._shared: SharedConnection | None = None
        self._together: Together[_Key, LoadedRun | None] = Together(self._load)

    async def load(self, run_id: int, wake: int, shared: SharedConnection) -> LoadedRun | None:
        """The run; None for one that is gone."""
        self._shared = shared
        return await self._together.ask((run_id, wake))

    async def _load(self, keys: list[_Key]) -> list[LoadedRun | None]:
        assert self._shared is not None  # noqa: S101
        runs, wakes = [run for run, _ in keys], [wake for _, wake in keys]
        rows = await self._shared.fetch(statement("run_load"), runs, wakes, self._flows)
        found = {(row["run_id"], row["wake"]): row for row in rows}
        return [_loaded(*key, found[key]) if key in found else None for key in keys]


def _loaded(run_id: int, wake: int, row: Any) -> LoadedRun:
    return LoadedRun(
        run_id,
        wake,
        row["live"],
        row["flow"],
        row["state"],
        row["input"],
        row["reason"],
        row["culprit"],
        row["events"],
        Replay(_recorded(row), _signals(row)),
    )


def _recorded(row: Any) -> dict[str, Recorded]:
    if row["steps"] is None:
        return {}
    columns = (row[name] for name in _COLUMNS)
    return dict(zip(row["steps"], map(Recorded, *columns), strict=True))


def _signals(row: Any) -> list[SentSignal]:
    if row["signal_ids"] is None:
        return []
    return list(map(SentSignal, row["signal_ids"], row["signals"], row["contents"], row["untaken"]))
