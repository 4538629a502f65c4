"""A database or a role has other defaults than PostgreSQL's own: the command line works as always."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from postmill.db.tools.connect import connect
from postmill.model.config.address import parse
from tests.other_defaults import FORMS, alterations

if TYPE_CHECKING:
    import psycopg

    from tests.acceptance.conftest import Cli

    Database = psycopg.Connection[dict[str, Any]]

FLOW = """
from postmill import Flow, Partial, Retry, each

words = Flow("words", input=list[str], retry=Retry.fixed(0.1, max_attempts=2))

@words.map(on_dead="collect")
def count(file: str = each(words.input)) -> int:
    raise ValueError(f"no {file}")

@words.step
def report(found: Partial[int] = count.partial) -> int:
    return len(found.errors)
"""


@pytest.fixture
def other(cli: Cli, db: Database) -> Cli:
    for alteration in alterations(db.info.dbname, FORMS):
        db.execute(alteration)
    return cli


def test_a_failed_attempt_is_recorded(other: Cli) -> None:
    """The trigger that looks for the innermost frame has expressions with backslashes: no attempt could be
    written down, and none was tried again.
    """
    Path("words.py").write_text(FLOW)
    answer = other("flow", "run", "words.py:words", '["a"]', "--watch")
    assert json.loads(answer.out.splitlines()[-1]) == {"report": 1}, answer.err
    shown = other("run", "show", "1", "--json").json
    assert [row["reason"] for row in shown["failures"]] == ["failed 2 of 2 attempts: ValueError: no a"]


def test_every_list_shows_its_times(other: Cli) -> None:
    for arguments in (
        ["queue", "create", "tasks"],
        ["send", "tasks", '{"a": "\\\\d"}', "--delay", "3600"],
        ["schedule", "add", "nightly", "0 3 * * *", "tasks", "{}"],
        ["queue", "pause", "tasks"],
    ):
        assert (answer := other(*arguments)).code == 0, answer.err
    for command in (
        ["message", "list", "tasks"],
        ["message", "show", "tasks", "1"],
        ["message", "why", "tasks", "1"],
        ["message", "search", "queue:tasks payload.a=x"],
        ["queue", "list"],
        ["schedule", "list"],
        ["schedule", "show", "nightly"],
        ["audit", "list"],
        ["top", "--once"],
        ["doctor"],
        ["metrics"],
    ):
        for form in ([], ["--json"]):  # a value that came in a form which nothing reads is no JSON
            answer = other(*command, *form)
            assert answer.code == 0, (command, answer.err)


def test_times_are_read_and_the_session_is_left_as_it_is(other: Cli, database_url: str) -> None:
    """Each connection set another form: behind a pooler the next statement ran in another session, and some
    other client's in that one.
    """
    asked = """
        select timestamptz '2026-11-30 20:45:00.25+00' as moment, timestamptz 'infinity' as never,
               timestamptz '294000-01-02 03:04:05+00' as far,
               timestamptz '0002-01-01 00:00+00 BC' as long_ago,
               interval '1 day 2.5 s' as span, array['a', null] as texts, jsonb '{"a": [1.5]}' as json,
               current_setting('DateStyle') as style
    """
    with connect(parse(database_url)) as connection:
        assert connection.execute(asked).fetchone() == {
            "moment": datetime(2026, 11, 30, 20, 45, 0, 250_000, tzinfo=UTC),
            "never": "infinity",
            "far": "294000-01-02 03:04:05+00",
            "long_ago": "0002-01-01 00:00:00+00 BC",
            "span": timedelta(days=1, seconds=2.5),
            "texts": ["a", None],
            "json": {"a": [1.5]},
            "style": "German, DMY",
        }
