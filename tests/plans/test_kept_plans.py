"""A session keeps the plans that it made while the tables were small, and known to be. Once they are large,
none of them makes a call read a table from its start, or compare each row with each: a batch with unique keys
took 35 ms instead of 0.3, and the first claim from 10,000 groups 12 s.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests import servers
from tests.servers import session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.embedded import Server
    from tests.plans.tables import Database

SMALL, LARGE = 20, 10_000
"""Rows of each table, before and after."""
READ = 2_000
"""Rows that one call may read in the order of a table: of small ones, such as queues, or a sweep's batch."""
COMPARED = 20_000
"""Pairs of rows that one call may look at in vain: twice as many as there are rows."""
REMOVED = re.compile(r"Rows Removed by (?:Join )?Filter: (\d+)")
SETUP = """
select postmill.create_queue('hot'), postmill.create_queue('limited');
select postmill.limit_groups('limited', 2);
select postmill.schedule('nightly', '@daily', 'hot')
"""
FILL = """
select count(*) from postmill.send_batch('hot', array_fill('1'::jsonb, array[{0}]),
    unique_keys => array(select 'key ' || n from generate_series(1, {0}) as n));
select count(*) from postmill.send_batch('limited', array_fill('1'::jsonb, array[{0}]),
    group_keys => array(select 'group ' || n from generate_series(1, {0}) as n));
select count(*) from postmill.send_batch('hot', array_fill('1'::jsonb, array[{0}]),
    after => array(select jsonb_build_array('limited:' || msg_id)
                   from pgmq.q_limited order by msg_id desc limit {0}));
insert into postmill.schedule_runs (schedule_id, tick, status, queue_name, msg_id)
select schedule_id, timestamptz '2020-01-01' + n * interval '1 hour', 'succeeded', 'hot', n
from postmill.schedules, generate_series(1, {0}) as n on conflict do nothing;
insert into postmill.dead_letters
       (queue_name, msg_id, read_ct, enqueued_at, message, attempts, kind, reason)
select 'hot', -n, 1, now(), '1', 1, 'error', 'it broke' from generate_series(1, {0}) as n;
insert into postmill.failures (queue_name, msg_id, attempt, kind, error_type, error_message)
select 'hot', -n, 1, 'error', 'ValueError', 'it broke' from generate_series(1, {0}) as n;
"""
GROUPS = f"""
insert into postmill.groups (queue_name, group_key)
select 'limited', 'group ' || n from generate_series(1, {LARGE}) as n
"""
"""A worker makes these, and none has begun yet when the first plans are made."""
NEWEST = "(select max(msg_id) from pgmq.q_{})"
CALLS = {
    "send": "postmill.send('hot', '1')",
    "send with a free key": "postmill.send('hot', '1', unique_key => 'free')",
    "send with a taken key": "postmill.send('hot', '1', unique_key => 'key 7')",
    "replace": "postmill.send('hot', '1', unique_key => 'key 7', on_conflict => 'replace')",
    "a batch with keys": "postmill.send_batch('hot', array_fill('1'::jsonb, array[50]), unique_keys => "
    "array(select 'key ' || n * 400 from generate_series(1, 50) as n))",
    "send to a group": "postmill.send('limited', '1', group_key => 'group 7')",
    "send after another": "postmill.send('hot', '1', "
    f"after => array['limited:' || {NEWEST.format('limited')}])",
    "send with a priority": "postmill.send('hot', '1', priority => 5)",
    "cancel": f"postmill.cancel('limited', {NEWEST.format('limited')})",
    "cancel a source": "postmill.cancel('limited', (select min(msg_id) from pgmq.q_limited))",
    "cancel a dependent": f"postmill.cancel('hot', {NEWEST.format('hot')})",
    "retry": f"postmill.retry('limited', {NEWEST.format('limited')})",
    "discard": "postmill.discard('hot', (select array[max(letter_id)] from postmill.dead_letters))",
    "messages": f"postmill.messages('limited', only_id => {NEWEST.format('limited')})",
    "replay": "postmill.replay('hot', (select array[max(letter_id)] from postmill.dead_letters))",
    "run_schedule": "postmill.run_schedule('nightly')",
    "fire_schedules": "postmill.fire_schedules((select array[min(schedule_id)] from postmill.schedules), "
    "array[now()], array[now()], array[now()], array[null])",
    "a batch to groups": "postmill.send_batch('limited', array_fill('1'::jsonb, array[5000]), "
    "group_keys => array(select 'group ' || n from generate_series(1, 5000) as n))",
    "a batch of dependents": "postmill.send_batch('hot', array_fill('1'::jsonb, array[500]), "
    "after => array(select jsonb_build_array('limited:' || n) from generate_series(1, 500) as n))",
    "claim_gated": "postmill.claim_gated('limited', 1000, '1 hour', gen_random_uuid(), 10000000, true, '', "
    "'2000-01-01', 0, 0)",
    "sweep_gates": "postmill.sweep_gates('limited')",
    "sweep_dependents": "postmill.sweep_dependents()",
}


@pytest.fixture(scope="module")
def used(shared_server: Server) -> Iterator[Database]:
    """A session that has made each call a few times while the tables were small; now they are large."""
    with servers.cloned_database(shared_server.url) as url, session(url) as db, session(url) as filler:
        for statement in (*SETUP.split(";"), *FILL.format(SMALL).split(";"), "vacuum analyze"):
            filler.execute(statement.encode())
        for call in CALLS.values():
            for _ in range(12):  # from the sixth time on a plan is kept for good
                with db.transaction(force_rollback=True):
                    db.execute(f"select {call}".encode())
        for statement in (*FILL.format(LARGE).split(";"), GROUPS):
            filler.execute(statement.encode())
        yield db


@pytest.mark.parametrize("name", CALLS)
def test_no_call_reads_a_table_from_its_start(used: Database, name: str) -> None:
    with used.transaction(force_rollback=True):
        before = _read(used)
        used.execute(f"select {CALLS[name]}".encode())
        found = _read(used) - before
    assert found.total() <= READ, found


@pytest.mark.parametrize("name", CALLS)
def test_no_call_compares_each_row_with_each(used: Database, name: str) -> None:
    plans: list[str] = []
    if not used.execute(EXPLAINS).fetchall():
        pytest.skip("this server has no auto_explain")  # the embedded one of version 16
    used.execute(b"load 'auto_explain'")
    with used.transaction(force_rollback=True):
        used.execute(EXPLAINING)
        used.add_notice_handler(lambda notice: plans.append(notice.message_primary or ""))
        used.execute(f"select {CALLS[name]}".encode())
    removed = {int(count): plan for plan in plans for count in REMOVED.findall(plan)}
    assert plans
    assert max(removed, default=0) <= COMPARED, removed[max(removed)]


EXPLAINS = b"""
select name from pg_ls_dir((select setting from pg_config where name = 'PKGLIBDIR')) as name
where name like 'auto_explain.%'
"""
EXPLAINING = b"""
select set_config('auto_explain.log_min_duration', '0', true),
       set_config('auto_explain.log_analyze', 'on', true),
       set_config('auto_explain.log_timing', 'off', true),
       set_config('auto_explain.log_nested_statements', 'on', true),
       set_config('client_min_messages', 'log', true)
"""


def _read(db: Database) -> Counter[str]:
    """How many rows of each table this session has read in the order of the table."""
    rows = db.execute(
        b"select relname, seq_tup_read from pg_stat_xact_all_tables"
        b" where seq_tup_read > 0 and schemaname in ('postmill', 'pgmq')"
    ).fetchall()
    return Counter({row["relname"]: row["seq_tup_read"] for row in rows})
