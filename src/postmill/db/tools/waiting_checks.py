"""The checks of ``postmill doctor`` on messages that wait for a place in their group or for other messages.
Each looks at a bounded number of rows. Changes nothing.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import TYPE_CHECKING

from postmill.model.finding import Finding
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection
    from postmill.model.config.address import Address

RUN_A_WORKER = "postmill worker run MODULE:NAME"
"""What to do about a queue without a worker, as far as the database can tell."""
STUCK_S = 60.0
"""A message that could have run this long ago, in seconds, and whose source will not end by itself, is
reported. Workers look after such messages every two seconds, so after a minute none does.
"""


def groups(connection: Connection, _: Address) -> Finding:
    """Places in groups that are held by claims which are gone, and limits that no worker knows of."""
    lost = connection.execute(statement("check_gates")).fetchall()
    if lost:
        found = ", ".join(f"{row['places']:,} in {row['queue']}" for row in lost)
        return Finding(
            "groups",
            "warn",
            f"places that are held by claims which are gone: {found}",
            f"{RUN_A_WORKER}: within seconds it frees the places that a dead worker left",
            tuple(row["queue"] for row in lost),
        )
    limited = connection.execute(statement("check_limits")).fetchall()
    blind = [row["queue"] for row in limited if not any(map(_knows_limits, row["versions"]))]
    if blind:
        return Finding(
            "groups",
            "warn",
            f"all workers are older than this schema, and start no message that waits: {', '.join(blind)}",
            f"Upgrade Postmill where they run, then restart them: {RUN_A_WORKER}",
            tuple(blind),
        )
    return Finding("groups", "pass", "each place that is taken has its claim, and workers know the limits")


def dependents(connection: Connection, _: Address) -> Finding:
    """Messages that wait for others which are dead or gone."""
    rows = connection.execute(statement("check_dependents"), (STUCK_S,)).fetchall()
    if not rows:
        return Finding("dependents", "pass", "no message waits in vain for another")
    found = "; ".join(
        f"{row['messages']:,} in {row['queue']} for a message that is {row['fate']},"
        f" {row['msg_id']} for {row['source_id']} of queue {row['source_queue']}"
        for row in rows
    )
    first = rows[0]
    if first["fate"] == "dead":
        fix = (
            f"postmill dead list {first['source_queue']}, then postmill dead replay; or"
            f" postmill message cancel {first['queue']} {first['msg_id']}"
        )
    elif first["fate"] == "cancelled":
        fix = (
            f"postmill message cancel {first['queue']} {first['msg_id']}; or in SQL, to run it all the same,"
            f" select postmill.release('{first['source_queue']}', '{{{first['source_id']}}}', 'completed')"
        )
    else:
        fix = f"{RUN_A_WORKER}: a worker looks after them every two seconds"
    return Finding(
        "dependents", "warn", f"they wait in vain: {found}", fix, tuple(row["queue"] for row in rows)
    )


def _knows_limits(worker: str) -> bool:
    """Whether a worker of that version is no older than this code."""
    return _numbers(worker) >= _numbers(version("postmill"))


def _numbers(release: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", release)[:3]]
