"""Workers: which are alive, which are not and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.api.resources import workers
from postmill.dashboard.page import Done, View, action, page

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit

SIGNS = {
    "active": ("running", "alive"),
    "draining": ("scheduled", "draining"),
    "silent": ("dead", "silent"),
    "stopped": ("cancelled", "stopped"),
}
"""Of each state of a worker: the sign of a message's state that looks alike, and the word beside it."""


@page("/workers", tab="Workers")
async def workers_page(visit: Visit) -> View:
    """Those that are alive; with ``all`` also those that were."""
    query = visit.in_query(workers.Which)
    found = await workers.list_workers(visit.desk, query)
    return View(
        "Workers",
        {
            "workers": found.items,
            "next": found.next,
            "first": query.cursor is None,
            "all": query.all,
            "signs": SIGNS,
            "running": sum(each.in_flight for each in found.items),
            "slots": sum(each.max_concurrent for each in found.items),
        },
    )


@action("/workers/{worker_id}/drain", of=workers_page)
async def drain(visit: Visit) -> Done:
    """Have it finish what it runs and stop."""
    told = await workers.drain_worker(visit.desk, visit.in_path(workers.InWorker))
    return Done("/workers", f"Worker {str(told.worker_id)[:8]} finishes what it runs and stops.")
