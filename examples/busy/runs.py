"""Runs of three flows, left in every state that a run can be in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from psycopg import Connection

PAGES = 500
"""Items of the map: as many as the graph of a run has to show folded and the bar of its step to count."""
CRAWLED = 312
"""Of them are done."""
CHECKOUT: tuple[dict[str, Any], ...] = (
    {"name": "reserve", "needs": []},
    {"name": "fraud check", "needs": []},
    {"name": "approval", "needs": ["fraud check"], "kind": "wait", "signal": "approved"},
    {"name": "charge", "needs": ["reserve", "approval"]},
    {
        "name": "gift card",
        "needs": ["charge"],
        "when": {"of": "input", "path": ["gift"], "equals": True},
    },
    {"name": "receipt", "needs": ["charge"]},
    {"name": "ship", "needs": ["charge", "gift card"]},
)
CRAWL: tuple[dict[str, Any], ...] = (
    {"name": "sitemap", "needs": []},
    {"name": "pages", "needs": ["sitemap"], "kind": "map", "over": {"of": "sitemap", "path": []}},
    {"name": "index", "needs": ["pages"]},
    {"name": "report", "needs": ["index"]},
)


class Scene:
    """The part of a worker, by hand: tasks are taken out of a flow's queue and settled."""

    def __init__(self, connection: Connection[Any], flow: str, steps: Sequence[dict[str, Any]]) -> None:
        self._connection = connection
        self._flow = flow
        self._ask(
            "select postmill.register_flow($1, 'graph', $2, $3, '{}') as value",
            (flow, flow, json.dumps({"steps": steps})),
        )

    def start(self, given: Any, key: str | None = None, tags: Sequence[str] = ()) -> int:
        """Start a run and return its id."""
        asked = (self._flow, json.dumps(given), key, list(tags))
        return int(self._ask("select postmill.start_flow($1, $2, key => $3, tags => $4) as value", asked))

    def settle(self, outputs: dict[str, Any], most: int = 1000) -> None:
        """The tasks of these steps, at most so many, have succeeded."""
        taken = self._take(list(outputs), most)
        given = [json.dumps(outputs[each["step"]]) for each in taken]
        self._end("_settle_steps($1::bigint[], $2::text[], $3::integer[], $4::text[])", taken, given)

    def fail(self, step: str, reason: str) -> None:
        """The tasks of the step have failed for good."""
        taken = self._take([step], 1000)
        self._end(
            "_fail_steps($1::bigint[], $2::text[], $3::integer[], $4::text[])", taken, [reason] * len(taken)
        )

    def _end(self, call: str, taken: Sequence[dict[str, Any]], given: Sequence[str]) -> None:
        runs, steps = [each["run"] for each in taken], [each["step"] for each in taken]
        items = [each.get("item") for each in taken]
        self._connection.execute(f"select postmill.{call}", (runs, steps, items, list(given)))

    def _take(self, steps: list[str], most: int) -> list[dict[str, Any]]:
        rows = self._connection.execute(
            f'with taken as (delete from pgmq."q_{self._flow}" where msg_id in (select msg_id from'
            f" pgmq.\"q_{self._flow}\" where message ->> 'step' = any ($1) order by msg_id limit $2)"
            " returning message) select message as value from taken",
            (steps, most),
        )
        return [row["value"] for row in rows]

    def _ask(self, statement: str, values: Sequence[Any]) -> Any:
        row = self._connection.execute(statement, values).fetchone()
        assert row is not None
        return row["value"]


def start_runs(connection: Connection[Any]) -> list[int]:
    """Start them and return their ids: completed, failed, cancelled, paused, waiting, and one that crawls."""
    checkout, crawl = Scene(connection, "checkout", CHECKOUT), Scene(connection, "crawl", CRAWL)
    order = {"order": 90021, "gift": False, "items": [{"sku": "mug", "count": 2}]}
    runs = [_whole(connection, checkout, order), _broken(connection, checkout, order)]
    for verb, reason in (
        ("cancel", "The customer has changed their mind."),
        ("pause", "Prices are checked."),
    ):
        runs.append(checkout.start(order, tags=["web"]))
        connection.execute(f"select postmill.{verb}_run($1, $2)", (runs[-1], reason))
        connection.execute("delete from pgmq.q_checkout")
    runs.append(checkout.start(order, key="order-90022", tags=["web", "eu"]))
    checkout.settle({"reserve": {"shelf": "B4"}, "fraud check": {"score": 0.07}})
    runs.append(crawl.start({"site": "https://docs.example.org"}, key="crawl-2026-11-30", tags=["nightly"]))
    crawl.settle({"sitemap": [f"https://docs.example.org/{number}" for number in range(PAGES)]})
    crawl.settle({"pages": {"words": 420}}, CRAWLED)
    return runs


def _whole(connection: Connection[Any], checkout: Scene, order: Any) -> int:
    run = checkout.start(order, key="order-90020", tags=["web"])
    checkout.settle({"reserve": {"shelf": "B4"}, "fraud check": {"score": 0.01}})
    connection.execute("select postmill.signal_run($1, 'approved', 'true')", (run,))
    checkout.settle({"charge": {"paid": "48.00"}})
    checkout.settle({"receipt": {"mail": 77}})
    checkout.settle({"ship": {"parcel": "DE-4411"}})
    connection.execute(
        "insert into postmill.run_events (run_id, step, name, value) values"
        " ($1, 'charge', 'progress', '{\"asked\": \"the bank\"}'),"
        " ($1, 'ship', 'label', '{\"parcel\": \"DE-4411\"}')",
        (run,),
    )
    return run


def _broken(connection: Connection[Any], checkout: Scene, order: Any) -> int:
    run = checkout.start(order, tags=["web"])
    checkout.settle({"reserve": {"shelf": "C1"}, "fraud check": {"score": 0.4}})
    connection.execute("select postmill.signal_run($1, 'approved', 'true')", (run,))
    checkout.fail("charge", 'CardDeclined: the bank says no\n  File "/srv/shop/pay.py", line 12, in charge')
    return run
