"""A search for a place that has an index looks at what it finds, however much is archived and dead; without
one it looks at everything. On tables that were analysed, and on such that never were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from postmill.db.tools import search_indexes
from postmill.sql.catalog import statement
from tests.plans.explaining import ANALYSED, prepared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.embedded import Server
    from tests.plans.explaining import Database

ROWS = 40_000
SETUP = f"""
select postmill.create_queue('hot');
insert into pgmq.a_hot (msg_id, vt, enqueued_at, archived_at, message)
select n, now(), now(), now(), jsonb_build_object('user', jsonb_build_object('id', n / 2))
  from generate_series(1, {ROWS}) as n;
insert into postmill.dead_letters (queue_name, msg_id, read_ct, enqueued_at, message, attempts, kind, reason)
select case when n % 2 = 0 then 'hot' else 'other' end, {ROWS} + n, 1, now(),
       jsonb_build_object('user', jsonb_build_object('id', n / 2)), 1, 'error', 'no'
  from generate_series(1, {ROWS}) as n
"""
PLACE = "payload.user.id"
WINDOW = ["hot", 1, 2 * ROWS, None, None, None, None, f'{{"{PLACE}": "700"}}', [], 50]
MOST = 60
"""Pages: a few of each index for three rows, their failures and claims, and the catalogue's rows of both."""
USED = """
select coalesce(sum(pg_stat_get_xact_blocks_fetched(known.oid)), 0)::bigint as pages
  from pg_class as known
  join pg_class as main on main.relname in ('a_hot', 'dead_letters')
   and (known.oid = main.oid or known.oid in (select indexrelid from pg_index where indrelid = main.oid))
"""


@pytest.fixture(scope="module", params=[(ANALYSED,), ()], ids=["analysed", "never analysed"])
def db(request: pytest.FixtureRequest, shared_server: Server) -> Iterator[Database]:
    with prepared(shared_server, SETUP, *request.param) as connection:
        yield connection


def looked_at(db: Database) -> tuple[list[int], int]:
    """What a window of everything finds, and how many pages it looks at."""
    with db.transaction(force_rollback=True):
        before = db.execute(USED.encode()).fetchone() or {}
        found = db.execute(statement("search_window").encode(), WINDOW).fetchall()
        after = db.execute(USED.encode()).fetchone() or {}
    return [row["msg_id"] for row in found], after["pages"] - before["pages"]


def test_an_index_on_a_place_is_used(db: Database) -> None:
    ids = [ROWS + 1_400, 1_401, 1_400]
    assert looked_at(db)[0] == ids
    assert looked_at(db)[1] > 10 * MOST
    search_indexes.create(db, "hot", PLACE)
    found, pages = looked_at(db)
    assert found == ids
    assert pages <= MOST
