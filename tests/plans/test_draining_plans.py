"""What a look at a queue costs while a worker drains it. The statistics are from before the drain, when no
message had a lease: a plan that goes by them walks over every lease for each message that is claimed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.plans.explaining import prepared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.embedded import Server
    from tests.plans.explaining import Database

CLAIMED = 1_000
"""As many as one claim of a worker holds at most."""
SETUP = f"""
select postmill.create_queue('hot');
insert into pgmq.q_hot (vt, message)
select now() - interval '1 minute', '{{}}' from generate_series(1, 50000);
vacuum analyze pgmq.q_hot;
update pgmq.q_hot set vt = clock_timestamp() + interval '1 hour', read_ct = 1 where msg_id <= 20000;
delete from pgmq.q_hot where msg_id <= 20000 - {CLAIMED};
insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts)
select gen_random_uuid(), 'hot', array_agg(msg_id), array_agg(read_ct) from pgmq.q_hot where read_ct = 1
"""
LOOKS = {
    "how many run": "select running from postmill._count_running('hot', 'pgmq.q_hot', 10000)",
    "how many workers it wants": "select * from postmill.desired_workers('hot', 10)",
}
MOST = 8 * CLAIMED
"""Pages: a lookup by id takes three of the index and two of the table, for the message as it is and as it was
before its claim. Walked over, the leases were twenty times as many.
"""


@pytest.fixture(scope="module")
def db(shared_server: Server) -> Iterator[Database]:
    """A queue of which two fifths were drained."""
    with prepared(shared_server, SETUP) as connection:
        yield connection


@pytest.mark.parametrize("name", LOOKS)
def test_what_runs_is_found_by_its_ids(db: Database, name: str) -> None:
    """As reads do it, on a plain connection."""
    with db.transaction(force_rollback=True):
        before = _pages(db)
        db.execute(LOOKS[name].encode())
        assert _pages(db) - before <= MOST


def _pages(db: Database) -> int:
    found = db.execute(
        b"select sum(pg_stat_get_xact_blocks_fetched(oid))::bigint as pages from pg_class"
        b" where relname in ('q_hot', 'q_hot_pkey', 'q_hot_vt_idx')"
    ).fetchone()
    assert found is not None
    return int(found["pages"])
