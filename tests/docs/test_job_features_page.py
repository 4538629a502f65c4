"""The smallest program of each job feature, as a newcomer's page shows it, does what the page says."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from postmill import AsyncClient
from postmill.bench.workers import running
from postmill.model.config.address import parse
from postmill.testing import drain

if TYPE_CHECKING:
    import psycopg

    from postmill.testing.account import Account

    Db = psycopg.Connection[dict[str, Any]]

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "job-features.md"


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Any:
    """All blocks of the page, as one module."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    module = ModuleType("shop")
    monkeypatch.setitem(sys.modules, "shop", module)
    exec(compile("\n".join(blocks), "shop.py", "exec"), module.__dict__)
    return module


async def run(shop: Any, name: str, database_url: str) -> tuple[Any, Account]:
    """What a function of the page returns, and what the workers did then."""
    async with AsyncClient(database_url) as client:
        returned = await getattr(shop, name)(client)
        await client.create_queue("mails")
    return returned, await drain(shop.ship, shop.tell, database=database_url)


def mails(db: Db) -> list[str]:
    rows = db.execute("select message ->> 'text' as text from pgmq.a_mails order by msg_id").fetchall()
    return [row["text"] for row in rows]


async def test_once_only(shop: Any, database_url: str) -> None:
    existed, account = await run(shop, "once_only", database_url)
    assert existed == (False, True)
    assert len(account.attempts) == 1


async def test_urgent_first(shop: Any, database_url: str) -> None:
    _, account = await run(shop, "urgent_first", database_url)
    assert len(account.attempts) == 11
    assert 11 in [ended.msg_id for ended in account.attempts][:10]


async def test_fair_turns(shop: Any, database_url: str) -> None:
    _, account = await run(shop, "fair_turns", database_url)
    assert [ended.outcome for ended in account.attempts] == ["completed"] * 4
    assert 4 in [ended.msg_id for ended in account.attempts][:3], "grace's only order is not the last"


async def test_so_many_a_minute(shop: Any, database_url: str, db: Db) -> None:
    await run(shop, "so_many_a_minute", database_url)
    assert len(mails(db)) == 5


async def test_one_after_the_other(shop: Any, database_url: str) -> None:
    _, account = await run(shop, "one_after_the_other", database_url)
    assert [ended.queue for ended in account.attempts] == ["orders", "orders", "mails"]


@pytest.mark.parametrize(("number", "told"), [(9, "order 9 is on its way"), (-9, "order 9 has failed")])
async def test_and_then(shop: Any, database_url: str, db: Db, number: int, told: str) -> None:
    order = shop.Order
    shop.Order = lambda _: order(number)
    await run(shop, "and_then", database_url)
    assert mails(db) == [told]


async def test_wait_for_the_result(shop: Any, database_url: str, db: Db) -> None:
    db.execute("select postmill.create_queue('orders')")
    async with AsyncClient(database_url) as client, running(parse(database_url), shop.ship):
        assert await shop.wait_for_the_result(client) == "shipped 10"
