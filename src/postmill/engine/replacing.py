"""Has the workers of older releases drain, once those of this process work: the old ones go on until then, so
that a deploy leaves no gap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.model.events import Event
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.worker import QueueWorker
    from postmill.model.config.release import Release
    from postmill.service.events import Events


async def replace_older(
    workers: Sequence[QueueWorker], shared: SharedConnection, events: Events, release: Release
) -> None:
    """Ask them; they learn of it at their next heartbeat. Raises temporary errors."""
    if release.replaces == "nowhere":
        return
    own = [worker.worker_id for worker in workers]
    rows = await shared.fetch(statement("replace_workers"), own, release.replaces == "here")
    if rows:
        versions = ", ".join(sorted({row["version"] for row in rows}))
        events.emit(Event.WORKERS_REPLACED, workers=len(rows), versions=versions)
