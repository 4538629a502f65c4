"""The past of a queue is folded, sampled and read by the pages it has itself, whatever others have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.rows import dict_row

from tests import servers
from tests.plans.explaining import pages_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.embedded import Server
    from tests.plans.explaining import Database

OTHERS = """
insert into postmill.minutes
select at, 'other-' || number, slot, 1, 1, 0, 0, 1, 1
from generate_series(1, 50) as number, generate_series(0, 3) as slot,
     generate_series(date_trunc('hour', now(), 'UTC') - interval '8 hours', now(), '1 minute') as at
"""
OTHER_SAMPLES = """
insert into postmill.queue_samples
select 'other-' || number, at, 1, 1, 1, 1, 1, 1
from generate_series(1, 50) as number,
     generate_series(date_trunc('hour', now(), 'UTC') - interval '8 hours', now(), '1 minute') as at
"""
MINE = b"insert into postmill.minutes select minute, 'hot', slot, 1, 1, 0, 0, 1, 1 from postmill.minutes"
MINE_TOO = MINE + b" where queue_name = 'other-1'"


@pytest.fixture(scope="module", params=["analysed", "never analysed"])
def db(request: pytest.FixtureRequest, shared_server: Server) -> Iterator[Database]:
    """Fifty busy queues and one more, eight hours after the last fold."""
    with (
        servers.cloned_database(shared_server.url) as url,
        psycopg.connect(
            url, autocommit=True, row_factory=dict_row, cursor_factory=psycopg.RawCursor
        ) as connection,
    ):
        connection.execute(b"select postmill.create_queue('hot')")
        connection.execute(OTHERS.encode())
        connection.execute(OTHER_SAMPLES.encode())
        connection.execute(MINE_TOO)
        if request.param == "analysed":
            connection.execute(b"analyze postmill.minutes, postmill.queue_samples")
        yield connection


def read_whole(db: Database, text: str) -> set[str]:
    """The tables that the statement, and what it calls, has read from one end to the other."""
    scans = b"select relname, pg_stat_get_xact_numscans(oid) as number from pg_class where relkind = 'r'"
    with db.transaction(force_rollback=True):
        before = {each["relname"]: each["number"] for each in db.execute(scans)}
        db.execute(text.encode())
        return {each["relname"] for each in db.execute(scans) if each["number"] > before[each["relname"]]}


@pytest.mark.parametrize(
    ("text", "most", "whole"),
    [
        ("select postmill._fold_history('hot', '-infinity')", 3_000, 0),
        ("select postmill._fold_history('hot', date_trunc('hour', now() - interval '6 hours', 'UTC'))", 3, 0),
        ("select postmill._sample_queue('hot')", 40, 2),
        ("select * from postmill.queue_history('hot', '6 hours')", 1_800, 0),
        ("select * from postmill.queue_history('hot', '1 hour')", 350, 0),
        ("select * from postmill.throughput(array['hot'])", 200, 0),
        ("select postmill.desired_workers('hot', 10)", 40, 1),
    ],
)
def test_only_the_rows_of_the_queue_are_looked_at(db: Database, text: str, most: int, whole: int) -> None:
    """Eight hours of it are 2,000 rows; all of them are 100,000. A look reads two small tables whole, and
    neither is one of these.
    """
    pages, whole_reads = pages_of(db, text, [])
    assert pages <= most
    assert whole_reads == whole
    assert not read_whole(db, text) & {"minutes", "queue_samples"}
