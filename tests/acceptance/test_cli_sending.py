"""`postmill send`: what it sends, what it says, and that bad input loses nothing and sends nothing."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from postmill.model.queue.payload import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Cli

    Database = psycopg.Connection[dict[str, Any]]


def sent(db: Database, queue: str = "tasks") -> list[Any]:
    """The payloads in a queue, in order."""
    return [row["message"] for row in db.execute(f"select message from pgmq.q_{queue} order by msg_id")]


@pytest.fixture(autouse=True)
def tasks(db: Database) -> None:
    db.execute("select postmill.create_queue('tasks')")


def test_one_message_prints_its_id_and_nothing_else(cli: Cli, db: Database) -> None:
    answer = cli("send", "tasks", '{"a": [1, null]}')
    assert (answer.code, answer.out) == (0, "1\n")
    assert "Sent 1 message to tasks." in answer.err
    assert sent(db) == [{"a": [1, None]}]


def test_json_in_several_lines_is_one_message(cli: Cli, db: Database) -> None:
    assert cli("send", "tasks", '{\n  "a": 1\n}').code == 0
    assert sent(db) == [{"a": 1}]


def test_a_wrong_delay_or_payload_is_told_in_plain_words(cli: Cli) -> None:
    """It was "not a valid float range", and "The JSON: The payload is not JSON"."""
    assert "'5 moons' is no length of time: write 90s" in cli("send", "tasks", "1", "--delay", "5 moons").err
    assert "Error: The payload is not JSON. Nothing was sent." in cli("send", "tasks", "{'a': 1}").err
    assert "too large for a float. Nothing was sent." in cli("send", "tasks", '{"a": 1e400}').err


def test_delay_and_headers(cli: Cli, db: Database) -> None:
    cli("send", "tasks", "1", "--delay", "60", "-H", "trace=abc", "--header", "depth=2")
    row = db.execute("select headers, vt - enqueued_at > '59 s' as later from pgmq.q_tasks").fetchone()
    assert row == {"headers": {"trace": "abc", "depth": 2}, "later": True}


def ends(db: Database, sql: str) -> threading.Timer:
    """What ends message 1 once the command waits for it, or after a moment."""

    def end() -> None:
        with psycopg.connect(db.info.dsn, autocommit=True) as other:
            until = time.monotonic() + 30
            while not other.execute("select from postmill.waiters").fetchall() and time.monotonic() < until:
                time.sleep(0.01)
            with other.transaction():
                other.execute(sql.encode())
                other.execute("delete from pgmq.q_tasks")

    ending = threading.Timer(0, end)
    ending.start()
    return ending


LETTER = """insert into postmill.dead_letters
    (queue_name, msg_id, read_ct, enqueued_at, message, attempts, kind, reason)
    select 'tasks', msg_id, 1, enqueued_at, message, 1, 'error', 'it broke' from pgmq.q_tasks"""


@pytest.mark.parametrize(
    ("sql", "code", "out", "err"),
    [
        (
            "insert into postmill.results values ('tasks', 1, '{\"n\": [1, null]}')",
            0,
            '{"n":[1,null]}\n',
            "Sent",
        ),
        ("insert into postmill.results values ('tasks', 1, 'null')", 0, "null\n", "Sent"),
        ("select pgmq.archive('tasks', 1)", 0, "", "not kept"),
        (LETTER, 9, "", "Error: Message 1 of queue tasks is dead: it broke."),
        ("select postmill.cancel('tasks', 1)", 10, "", "Error: Message 1 of queue tasks was cancelled."),
        ("select 1", 3, "", "Error: Nothing is known of message 1"),
    ],
)
def test_waiting_prints_the_result_or_says_how_it_ended(
    cli: Cli, db: Database, sql: str, code: int, out: str, err: str
) -> None:
    ending = ends(db, sql)
    answer = cli("send", "tasks", "1", "--wait", "--timeout", "30s")
    ending.join()
    assert (answer.code, answer.out) == (code, out), answer.err
    assert err in answer.err


def test_waiting_as_json_and_no_longer_than_it_should(cli: Cli, db: Database) -> None:
    ending = ends(db, "insert into postmill.results values ('tasks', 1, '7')")
    assert cli("send", "tasks", "1", "--wait", "--json").json == {"msg_id": 1, "result": 7}
    ending.join()
    answer = cli("send", "tasks", "1", "--wait", "--timeout", "0.1")
    assert (answer.code, answer.out, answer.error_code) == (7, "", "result-timed-out")
    assert "It is ready." in answer.err
    assert sent(db) == [1]


@pytest.mark.parametrize(
    "arguments", [("1", "--timeout", "3s"), ("-f", "-", "--wait"), ("1", "--wait", "--timeout", "3 weeks")]
)
def test_waiting_for_what_cannot_be_waited_for_sends_nothing(
    cli: Cli, db: Database, arguments: tuple[str, ...]
) -> None:
    assert cli("send", "tasks", *arguments, stdin="1\n").code == 2
    assert sent(db) == []


def test_a_file_of_json_lines(cli: Cli, db: Database, tmp_path: Path) -> None:
    (tmp_path / "work.jsonl").write_text('{"n": 1}\n\n{"n": 2}\n')
    answer = cli("send", "tasks", "--file", "work.jsonl", "--json")
    assert [message["msg_id"] for message in answer.json] == [1, 2]
    assert sent(db) == [{"n": 1}, {"n": 2}]


def test_standard_input_as_a_stream_of_ids(cli: Cli, db: Database) -> None:
    answer = cli("send", "tasks", "-f", "-", "--jsonl", stdin="1\n2\n3\n")
    assert answer.out == '{"msg_id":1}\n{"msg_id":2}\n{"msg_id":3}\n'
    assert sent(db) == [1, 2, 3]


def test_numbers_keep_their_digits(cli: Cli, db: Database) -> None:
    cli("send", "tasks", "12345678901234567890123.25")
    row = db.execute("select message::text from pgmq.q_tasks").fetchone()
    assert row == {"message": "12345678901234567890123.25"}


def test_create_makes_the_queue_once(cli: Cli, db: Database) -> None:
    assert "Created queue fresh." in cli("send", "fresh", "1", "--create").err
    assert "Created" not in cli("send", "fresh", "2", "--create").err
    assert sent(db, "fresh") == [1, 2]


def test_a_bad_line_is_named_and_nothing_of_the_file_is_sent(cli: Cli, db: Database) -> None:
    """More lines than one statement carries come first: what was sent of them is taken back."""
    lines = "\n".join(str(number) for number in range(12_000))
    answer = cli("send", "tasks", "--file", "-", stdin=f"{lines}\n{{oops}}\n")
    assert (answer.code, answer.out, answer.error_code) == (2, "", "invalid-payload")
    assert "Line 12001" in answer.err
    assert sent(db) == []


@pytest.mark.parametrize("payload", ["{oops}", "", "{'a': 1}", "NaN"])
def test_json_that_does_not_parse(cli: Cli, db: Database, payload: str) -> None:
    answer = cli("send", "tasks", payload)
    assert (answer.code, answer.out, answer.error_code) == (2, "", "invalid-payload")
    assert "single quotes" in answer.err
    assert sent(db) == []


def test_half_a_surrogate_pair(cli: Cli, db: Database) -> None:
    answer = cli("send", "tasks", r'"\ud83d"')
    assert (answer.code, answer.error_code) == (2, "invalid-payload")
    assert sent(db) == []


def test_nul_characters(cli: Cli, db: Database) -> None:
    answer = cli("send", "tasks", r'{"a": "x\u0000y"}')
    assert (answer.code, answer.error_code) == (2, "invalid-payload")
    assert "NUL" in answer.err
    assert sent(db) == []


def test_an_escaped_backslash_before_u0000_is_no_nul(cli: Cli, db: Database) -> None:
    assert cli("send", "tasks", r'"\\u0000"').code == 0
    assert sent(db) == ["\\u0000"]


def test_a_payload_of_100_megabytes_is_refused_before_it_travels(
    cli: Cli, db: Database, tmp_path: Path
) -> None:
    line = b'"' + b"x" * 100_000_000 + b'"\n'
    assert len(line) > MAX_MESSAGE_BYTES
    (tmp_path / "big.jsonl").write_bytes(b"1\n" + line)
    answer = cli("send", "tasks", "--file", "big.jsonl")
    assert (answer.code, answer.error_code) == (2, "payload-too-large")
    assert "Line 2" in answer.err
    assert len(answer.err) < 1000
    assert sent(db) == []


def test_a_queue_that_is_not_there(cli: Cli, db: Database) -> None:
    answer = cli("send", "taks", "1")
    assert (answer.code, answer.error_code) == (3, "queue-not-found")
    assert "postmill queue create taks" in answer.err
    assert sent(db) == []


@pytest.mark.parametrize("name", ["Bad", "a b", "x;drop table y", "-x", "a" * 48])
def test_a_wrong_queue_name_is_refused_with_the_rule(cli: Cli, db: Database, name: str) -> None:
    answer = cli("queue", "create", "--", name)
    assert (answer.code, answer.error_code) == (2, "invalid-queue-name")
    assert "1 to 47 characters" in answer.err
    assert [row["queue_name"] for row in db.execute("select queue_name from pgmq.meta")] == ["tasks"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("send", "tasks"),
        ("send", "tasks", "1", "--file", "-"),
        ("send", "tasks", "--file", "missing.jsonl"),
        ("send", "tasks", "1", "--delay", "-1"),
        ("send", "tasks", "1", "--header", "novalue"),
    ],
)
def test_wrong_usage_sends_nothing(cli: Cli, db: Database, arguments: tuple[str, ...]) -> None:
    answer = cli(*arguments)
    assert (answer.code, answer.error_code) == (2, "usage")
    assert sent(db) == []
