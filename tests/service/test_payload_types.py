"""A worker says at its start what its payloads look like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import psycopg

from postmill import worker
from tests.service.running import running

if TYPE_CHECKING:
    from postmill.handlers.decorator import Worker

Db = psycopg.Connection[dict[str, Any]]


class Mail(msgspec.Struct):
    to: str
    copies: int = 1


class Report(msgspec.Struct):
    month: str


def mailer(*, with_report: bool = True) -> Worker:
    mails = worker(queue="mail")

    @mails
    async def send_mail(payload: Mail) -> None:
        pass

    async def report(payload: Report) -> None:
        pass

    if with_report:
        send_mail.task(report)
    return send_mail


def tell(db: Db) -> None:
    """Make the queue, and say what its worker says at its start."""
    db.execute("select postmill.create_queue('mail')")
    for said in mailer().declarations:
        db.execute(said.text.encode(), said.arguments)


def noted(db: Db) -> list[dict[str, Any]]:
    return db.execute("select * from postmill.payload_types order by task").fetchall()


async def test_the_worker_that_started_last_is_believed(database_url: str, db: Db) -> None:
    async with running(database_url, mailer()):
        first = noted(db)
    assert [(row["queue_name"], row["task"], row["function_name"]) for row in first] == [
        ("mail", "", "send_mail"),
        ("mail", "report", "send_mail"),
    ]
    async with running(database_url, mailer()):
        assert noted(db) == first  # nothing is written that is known
    async with running(database_url, mailer(with_report=False)):
        assert [row["task"] for row in noted(db)] == [""]
    db.execute("select postmill.drop_queue('mail')")
    assert noted(db) == []


async def test_a_worker_that_may_not_say_it_starts_all_the_same(database_url: str, db: Db) -> None:
    db.execute(
        "create function pg_temp.no() returns trigger language plpgsql as $$ begin"
        " raise insufficient_privilege; end $$"
    )
    db.execute("create trigger no before insert on postmill.payload_types execute function pg_temp.no()")
    async with running(database_url, mailer()):
        assert noted(db) == []
