"""The Python examples of the pages about pipelines and rates run as they stand, as the SQL beside them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postmill import AsyncClient
from tests.sql.asking import Database, rows, value

if TYPE_CHECKING:
    import asyncpg

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EDGES = "select source_id, target_id from postmill.edges where target_queue = $1 order by 2, 1"


def functions_of(page: str) -> dict[str, Any]:
    """What the blocks of a page define."""
    names: dict[str, Any] = {}
    for block in BLOCK.findall((HOWTO / f"{page}.md").read_text(encoding="utf-8")):
        exec(compile(block, page, "exec"), names)
    return names


async def test_pipelines(db: Database, adb: asyncpg.Connection) -> None:
    page, client = functions_of("pipelines"), AsyncClient(adb)
    for queue in ("resize", "emails"):
        await client.create_queue(queue)

    await page["album"](client)
    assert [tuple(edge.values()) for edge in rows(db, EDGES, "emails")] == [(1, 1), (2, 1)]
    await page["diamond"](client)
    assert [tuple(edge.values()) for edge in rows(db, EDGES, "resize")] == [(3, 4), (3, 5), (4, 6), (5, 6)]


async def test_rates(db: Database, adb: asyncpg.Connection) -> None:
    client = AsyncClient(adb)
    await client.create_queue("mails")
    await functions_of("rate-limits")["set_limits"](client)
    shown = "select array_agg(starts order by starts) from postmill.limits where queue_name = 'mails'"
    assert value(db, shown) == [10, 50, 100]
    assert value(db, "select max_running from postmill.limits where starts = 10") == 2
