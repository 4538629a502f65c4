"""enable_priority and disable_priority: the index, what any client may put into the header, and words for
refusals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.sql.asking import Database, refused, rows

if TYPE_CHECKING:
    from collections.abc import Callable

INDEXES = """
select indexname from pg_indexes
 where schemaname = 'pgmq' and indexname like 'postmill\\_priority\\_%' order by 1
"""
KNOWN = "select has_priorities, priority_aging::text as aging from postmill.queues where queue_name = $1"
ODD = (
    '{"postmill-priority": {"a": 1}}',
    '{"postmill-priority": [9]}',
    '{"postmill-priority": "nine"}',
    '{"postmill-priority": ""}',
    '{"postmill-priority": "\\"; drop table x"}',
    '{"postmill-priority": 10}',
    '{"postmill-priority": -1}',
    '{"postmill-priority": 1e300}',
    '{"postmill-priority": 9.5}',
    '{"postmill-priority": null}',
    '{"postmill-priority": true}',
    '{"postmill-priority": "\\ud83d\\ude00"}',
    '"postmill-priority"',
    '["postmill-priority"]',
    "null",
    "7",
)


def indexes(db: Database) -> list[str]:
    return [row["indexname"] for row in db.execute(INDEXES.encode()).fetchall()]


def enable(db: Database, queue: str = "re-size") -> None:
    db.execute(b"select postmill.enable_priority($1)", [queue])


def test_it_is_enabled_once_and_disabled_again(db: Database, queue: str) -> None:
    for _ in range(2):
        enable(db)
        assert len(indexes(db)) == 1
        assert rows(db, KNOWN, queue) == [{"has_priorities": True, "aging": "00:01:00"}]
    for _ in range(2):
        db.execute(b"select postmill.disable_priority($1)", [queue])
        assert indexes(db) == []
        assert rows(db, KNOWN, queue) == [{"has_priorities": False, "aging": "00:01:00"}]


def test_the_aging_is_changed_and_kept(db: Database, queue: str) -> None:
    db.execute(b"select postmill.enable_priority($1, aging => '5 seconds')", [queue])
    enable(db)
    assert rows(db, KNOWN, queue) == [{"has_priorities": True, "aging": "00:00:05"}]


@pytest.mark.parametrize("aging", ["0", "-1 minute", "infinity", "2 years"])
def test_an_aging_that_would_break_claims_is_refused(db: Database, queue: str, aging: str) -> None:
    if aging == "infinity" and db.info.server_version < 170000:
        pytest.skip("there is no infinite interval")
    with refused("PM003", "^an aging of .* can't be used"):
        db.execute(b"select postmill.enable_priority($1, aging => $2::interval)", [queue, aging])


@pytest.mark.parametrize("odd", ODD)
def test_no_header_of_another_client_breaks_a_send(db: Database, queue: str, odd: str) -> None:
    """The index must never refuse a row: before it was built, and after."""
    insert = b"insert into pgmq.\"q_re-size\" (vt, message, headers) values (now(), '1', $1::jsonb)"
    db.execute(insert, [odd])
    enable(db)
    db.execute(insert, [odd])
    db.execute(b"select pgmq.send('re-size', '1', $1::jsonb)", [odd])
    assert rows(db, 'select count(*) from pgmq."q_re-size"') == [{"count": 3}]


@pytest.mark.parametrize(
    "large",
    [
        "jsonb_build_object('postmill-priority', repeat('9', 3000000))",
        "jsonb_build_object('postmill-priority', repeat('ß', 3000000))",
        "jsonb_build_object('postmill-priority', array_fill(9, array[1000000]))",
    ],
)
def test_a_header_of_megabytes_fits_into_the_index(db: Database, queue: str, large: str) -> None:
    """An index entry has 2.7 KB at most: only the first character is in it."""
    enable(db)
    db.execute(f"select pgmq.send('re-size', '1', {large})".encode())
    assert rows(db, 'select count(*) from pgmq."q_re-size"') == [{"count": 1}]


def test_queues_with_long_names_get_an_index_each(db: Database) -> None:
    """Names are cut to 63 bytes: two that differ only after that would share an index's name."""
    names = ["a" * 46 + end for end in "12"] + ["p", "p_priority"]
    for name in names:
        db.execute(b"select postmill.create_queue($1)", [name])
        enable(db, name)
    assert len(set(indexes(db))) == len(names)
    assert max(map(len, indexes(db))) <= 63


def test_a_queue_that_is_created_again_has_no_priorities(db: Database, queue: str) -> None:
    enable(db)
    db.execute(b"select postmill.drop_queue($1)", [queue])
    db.execute(b"select postmill.create_queue($1)", [queue])
    assert rows(db, KNOWN, queue) == [{"has_priorities": False, "aging": "00:01:00"}]
    assert indexes(db) == []
    enable(db)
    assert len(indexes(db)) == 1


def test_a_queue_of_another_client_is_enabled_by_the_owner_of_its_table(db: Database, foreign: str) -> None:
    enable(db, foreign)
    assert rows(db, "select owned, has_priorities from postmill.queues where queue_name = $1", foreign) == [
        {"owned": False, "has_priorities": True}
    ]


def test_an_unlogged_queue_is_enabled(db: Database) -> None:
    db.execute(b"select pgmq.create_unlogged('quick')")
    enable(db, "quick")
    assert len(indexes(db)) == 1


def test_a_partitioned_queue_is_enabled_with_each_partition_it_has_and_gets(db: Database) -> None:
    """pgmq partitions by pg_partman, which tests don't have: this is what its tables look like."""
    db.execute(
        b"create table pgmq.q_parts (msg_id bigint generated always as identity, read_ct int default 0,"
        b" enqueued_at timestamptz default now() not null, last_read_at timestamptz, vt timestamptz not null,"
        b" message jsonb, headers jsonb) partition by range (msg_id);"
        b"create table pgmq.q_parts_1 partition of pgmq.q_parts for values from (1) to (3)"
    )
    enable(db, "parts")
    db.execute(b"create table pgmq.q_parts_2 partition of pgmq.q_parts for values from (3) to (9)")
    found = rows(db, "select count(*) from pg_index where indrelid::regclass::text like 'pgmq.q_parts%'")
    assert found == [{"count": 3}]
    db.execute(b"select postmill.disable_priority('parts')")
    assert rows(db, "select count(*) from pg_index where indrelid::regclass::text like 'pgmq.q_parts%'") == [
        {"count": 0}
    ]


def test_without_headers_it_is_refused_in_words(db: Database, queue: str) -> None:
    db.execute(b'alter table pgmq."q_re-size" drop column headers')
    with refused("PM004", "have no priority.*\n.*pgmq is older than 1.5"):
        enable(db)


@pytest.mark.parametrize("function", ["enable_priority", "disable_priority"])
def test_only_the_owner_of_the_table_may(
    db: Database, queue: str, stranger: psycopg.Connection[dict[str, object]], function: str
) -> None:
    if function == "disable_priority":
        enable(db)
    db.execute(b"grant usage on schema postmill, pgmq to stranger")
    db.execute(b"grant execute on all functions in schema postmill to stranger")
    db.execute(b"grant all on all tables in schema postmill to stranger")
    with refused("PM005", f"is not ours(.*\\n)*.*call postmill.{function}"):
        stranger.execute(f"select postmill.{function}($1)".encode(), [queue])
    assert len(indexes(db)) == (function == "disable_priority")


@pytest.mark.parametrize("function", ["enable_priority", "disable_priority"])
def test_a_queue_that_is_not_there(db: Database, function: str) -> None:
    with refused("PM001", "there is no queue"):
        db.execute(f"select postmill.{function}('gone')".encode())


def test_an_index_that_was_built_before_is_put_to_use(db: Database, queue: str) -> None:
    """Concurrently is not possible in a function: the how-to builds it by hand."""
    (row,) = rows(db, "select postmill._priority_index('pgmq.\"q_re-size\"') as name")
    db.execute(
        f'create index concurrently {row["name"]} on pgmq."q_re-size"'
        " ((left(headers ->> 'postmill-priority', 1) collate \"C\"), vt, msg_id)"
        " where headers ? 'postmill-priority'".encode()
    )
    enable(db)
    assert indexes(db) == [row["name"]]


def test_an_index_whose_building_was_interrupted_is_refused(db: Database, queue: str) -> None:
    """It takes every write and answers no question: each claim would have read the whole queue."""
    enable(db)
    broken = b"indexrelid::regclass::text like '%postmill_priority%'"
    db.execute(b"update pg_index set indisvalid = false where " + broken)
    with refused("PM005", "can't be used(.*\\n)*.*Drop it: drop index pgmq.postmill_priority_"):
        enable(db)


def test_a_name_that_something_else_has_is_refused(db: Database, queue: str) -> None:
    (row,) = rows(db, "select postmill._priority_index('pgmq.\"q_re-size\"') as name")
    db.execute(f"create table pgmq.{row['name']} ()".encode())
    with refused("PM005", "is there and can't be used"):
        enable(db)


def test_a_failure_takes_all_of_it_back(db: Database, queue: str, connect: Callable[[], Database]) -> None:
    """SHARE waits for a transaction that has sent: with a limit on that wait nothing is left half done."""
    with connect() as sender, sender.transaction():
        sender.execute(b"select pgmq.send('re-size', '1')")
        db.execute(b"set lock_timeout = '50 ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            enable(db)
    assert indexes(db) == []
    assert rows(db, KNOWN, queue) == [{"has_priorities": False, "aging": "00:01:00"}]
