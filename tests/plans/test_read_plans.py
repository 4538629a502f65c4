"""What people look at costs what is shown of it, however much there is beside it: operations, errors, the
audit, searches; and a page of an operation costs what is done. These statements run on plain connections,
whose plans nothing pins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from postmill.sql.catalog import statement
from tests.plans.explaining import ANALYSED, prepared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.embedded import Server
    from tests.plans.explaining import Database

SETUP = """
select postmill.create_queue('hot');
insert into pgmq.q_hot (vt, message, enqueued_at)
select now(), jsonb_build_object('n', n), now() - interval '1 day' + n * interval '1 s'
  from generate_series(1, 60000) as n;
insert into postmill.operations (kind, queue_name, upper_id, state, ended_at)
select 'cancel', 'hot', 1, 'done', now() - interval '30 days' + n * interval '1 minute'
  from generate_series(1, 5000) as n;
update postmill.operations set state = 'queued', ended_at = null, upper_id = 60000, position = 30000
 where operation_id % 1000 = 0;
insert into postmill.operation_rows (operation_id, id, outcome)
select case when n % 10 = 0 then n / 10 % 3000 else 4000 end, n,
       case when n % 30001 = 0 then 'busy' else 'gone' end
  from generate_series(1, 60000) as n;
insert into postmill.failures (queue_name, msg_id, attempt, kind, error_type, error_message, failed_at)
select case when n % 30 = 0 then 'hot' else 'other-' || n % 30 end, n, 1, 'error',
       case when n % 100 = 0 then 'Rare' else 'E' || chr(65 + n % 20) end, 'no',
       now() - interval '1 day' + n * interval '1 s'
  from generate_series(1, 60000) as n;
insert into postmill.error_hours (queue_name, hour, fingerprint, failures)
select 'other-' || n % 30, now() - n % 700 * interval '1 hour', 'other ' || n, 1
  from generate_series(1, 60000) as n;
insert into postmill.audit (at, viewer, role, source, action, target)
select now() - interval '100 days' + n * interval '1 minute', 'ada', 'operator', '', 'queue.pause', '{}'
  from generate_series(1, 60000) as n;
insert into postmill.idempotency_keys (viewer, key, request, at)
select 'ada', n::text, '', now() - interval '30 hours' + n * interval '1 s'
  from generate_series(1, 60000) as n;
insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts)
select gen_random_uuid(), case when n % 100 = 0 then 'hot' else 'other-' || n % 100 end, array[n], array[1]
  from generate_series(1, 5000) as n
"""
RARE = "rare"
"""Stands for the fingerprint of an error that one failure of a hundred has."""
CALLS: dict[str, tuple[str, list[object], int]] = {
    "the newest operations": (statement("read_operations"), [50, False, None], 16),
    "older operations": (statement("read_operations"), [50, False, 2_000], 8),
    "open operations": (statement("read_operations"), [50, True, None], 6),
    "one operation": (statement("read_operation"), [4_000], 10),
    "what became of its messages": (statement("read_operation_rows"), [4_000, None, 50, 30_000], 10),
    "those that were busy": (statement("read_operation_rows"), [4_000, "busy", 50, 0], 6),
    "whether an operation is due": (statement("operations_next"), [], 6),
    "old operations go": ("select postmill._prune_operations(500)", [], 50),
    "a page of an operation": ("select * from postmill._step_operation(5000, 50)", [], 1_100),
    "the last actions": (statement("read_audit"), [50, None, None], 10),
    "older actions": (statement("read_audit"), [50, 30_000, None], 8),
    "old actions go": ("select postmill._prune_audit()", [], 1_500),
    "where a search has to look": (statement("search_span"), ["hot", None, None], 6),
    "since when": ("select postmill._first_id_since('hot', now() - interval '10 hours', 1, 60000)", [], 100),
    "about when a message was sent": (statement("search_reached"), ["hot", 30_000], 8),
    "what has failed": (statement("search_failures"), ["hot", 1, 60_000, "EA", 200], 180),
    "a window of a search": (
        statement("search_window"),
        ["hot", 30_000, 30_999, None, None, None, None, "{}", [], 50],
        340,
    ),
    "some ids of a search": (
        statement("search_window"),
        ["hot", 1, 60_000, [7, 30_000, 59_999], None, None, None, "{}", [], 50],
        50,
    ),
    "the failures of an error": (statement("read_error_failures"), [RARE, 5], 40),
    "its history": ("select * from postmill.error_history($1)", [RARE], 1_000),
    "errors are counted": ("select * from postmill._count_errors('hot', 500, 0)", [], 1_500),
    "one error": (statement("read_errors"), [RARE, None, False, 1, None, None], 1_000),
    "the errors of a queue": (statement("read_errors"), [None, "hot", True, 50, None, None], 1_400),
}
LARGE = ("q_hot", "operations", "operation_rows", "failures", "error_hours", "audit", "idempotency_keys")
"""Claims are not among them: there is one row a claim under way, and they are read whole."""
USED = """
select mine.relname as name, pg_stat_get_xact_numscans(mine.oid) as whole_reads,
       pg_stat_get_xact_blocks_fetched(mine.oid)
           + coalesce((select sum(pg_stat_get_xact_blocks_fetched(indexrelid))
                         from pg_index where indrelid = mine.oid), 0)::bigint as pages
  from pg_class as mine where mine.relname = any ($1) and mine.relkind = 'r'
"""


@pytest.fixture(scope="module", params=[(ANALYSED,), ()], ids=["analysed", "never analysed"])
def db(request: pytest.FixtureRequest, shared_server: Server) -> Iterator[Database]:
    """All that there is beside what is looked at."""
    with prepared(shared_server, SETUP, *request.param) as connection:
        yield connection


@pytest.mark.parametrize("name", CALLS)
def test_a_look_costs_what_it_shows(db: Database, name: str) -> None:
    text, arguments, most = CALLS[name]
    rare = db.execute(
        b"select fingerprint from postmill.failures where error_type = 'Rare' limit 1"
    ).fetchone()
    assert rare is not None
    given = [rare["fingerprint"] if each == RARE else each for each in arguments]
    with db.transaction(force_rollback=True):
        before = {each["name"]: each for each in db.execute(USED.encode(), [list(LARGE)])}
        found = db.execute(text.encode(), given).fetchall()
        after = {each["name"]: each for each in db.execute(USED.encode(), [list(LARGE)])}
    assert found
    whole = {name for name, each in after.items() if each["whole_reads"] > before[name]["whole_reads"]}
    pages = sum(each["pages"] - before[name]["pages"] for name, each in after.items())
    assert whole == set()
    assert pages <= most
