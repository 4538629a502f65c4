"""A database in which much goes on: what the pictures of the dashboard show, and what its tests look at.

Nothing runs: the rows stand as workers, schedulers and viewers would leave them.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from examples.busy.runs import start_runs

if TYPE_CHECKING:
    from typing import Any

    from psycopg import Connection

BEAT = (
    "update postmill.workers set last_heartbeat_at = clock_timestamp()"
    " where stopped_at is null and function_name <> 'post_webhook'"
)
"""The worker of webhooks stays silent."""


def filled(connection: Connection[Any]) -> list[int]:
    """Fill the empty database; returns the ids of the runs of flows."""
    for name in ("queues.sql", "past.sql"):
        connection.execute((files(__package__) / name).read_bytes())
    return start_runs(connection)


def beat(connection: Connection[Any]) -> None:
    """As each worker that is alive does every two seconds."""
    connection.execute(BEAT)


def pages(connection: Connection[Any], runs: list[int]) -> dict[str, str]:
    """Every page of the dashboard on it, by a name."""
    done, broken, cancelled, paused, waiting, crawling = runs
    found = connection.execute(
        "select fingerprint from postmill.error_list() order by last_seen desc limit 1"
    ).fetchone()
    assert found is not None
    return {
        "overview": "/",
        "nothing-matches": "/?q=nothing",
        "queue": "/queues/emails",
        "queue-paused": "/queues/thumbnails",
        "queue-without-worker": "/queues/webhooks?span=6h",
        "messages": "/messages",
        "messages-of-queue": "/queues/emails/messages",
        "messages-running": "/queues/emails/messages?state=running",
        "message-retrying": "/queues/emails/messages/21",
        "message-ready": "/queues/webhooks/messages/31",
        "message-completed": "/queues/invoices/messages/1",
        "message-dead": "/queues/emails/messages/3",
        "many": "/queues/emails/many/retry",
        "dead": "/dead",
        "letter": "/dead/3",
        "errors": "/errors",
        "error": f"/errors/{found['fingerprint']}",
        "operations": "/operations",
        "operation": "/operations/1",
        "runs": "/runs",
        "run": f"/runs/{crawling}",
        "run-step": f"/runs/{done}?step=charge",
        "run-failed": f"/runs/{broken}?step=charge",
        "run-cancelled": f"/runs/{cancelled}",
        "run-paused": f"/runs/{paused}",
        "run-waiting": f"/runs/{waiting}",
        "flows": "/flows",
        "flow": "/flows/checkout",
        "schedules": "/schedules",
        "schedule": "/schedules/digest",
        "workers": "/workers",
        "workers-all": "/workers?all=true",
        "calls": "/calls",
        "call": "/calls/105",
        "functions": "/functions",
        "function": "/functions/hello",
        "audit": "/audit",
        "settings": "/settings",
    }
