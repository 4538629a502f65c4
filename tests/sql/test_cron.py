"""The facade cron: pg_cron's functions and views, as one user sees them. Others: test_command_users."""

from __future__ import annotations

import re

import psycopg
import pytest

from tests.sql.asking import Database, column, refused, row, rows, value

DAILY = "select cron.schedule('job', '0 3 * * *', 'select 1')"
RAN = """
    update postmill.schedule_runs set status = 'succeeded', returned = 'SELECT 1', started_at = now(),
        ended_at = now(), pid = 7, command = 'select 1';
"""


@pytest.mark.parametrize(
    "schedule",
    [
        "*/5 * * * *",
        "0,30 9-17/2 1,15 jan-mar mon-fri",
        "0 0 $ * *",
        "59 23 31 12 7",
        "@daily",
        "@reboot",
        "1 second",
        "59 seconds",
        "  5   4 * *  sun ",
    ],
)
def test_pg_crons_forms_are_taken(db: Database, schedule: str) -> None:
    job = value(db, "select cron.schedule($1, 'select 1')", schedule)
    assert value(db, "select active from cron.job where jobid = $1", job) is True


@pytest.mark.parametrize(
    "schedule",
    [
        *("", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8"),
        *("0 seconds", "99999 seconds", "@noon", "5-", "*/x * * * *", "a b c d e", "30 seconds or so"),
    ],
)
def test_what_is_no_schedule_is_refused(db: Database, schedule: str) -> None:
    with refused("22023", f"invalid schedule: {re.escape(schedule)}"):
        db.execute(b"select cron.schedule($1, 'select 1')", [schedule])


def test_a_job_stands_as_pg_cron_shows_it(db: Database) -> None:
    job = value(db, DAILY)
    assert row(db, "select * from cron.job") == {
        "jobid": job,
        "schedule": "0 3 * * *",
        "command": "select 1",
        "nodename": "localhost",
        "nodeport": 5432,
        "database": value(db, "select current_database()"),
        "username": "postgres",
        "active": True,
        "jobname": "job",
    }
    assert row(db, "select timezone, overlap, catch_up, name from postmill.schedule_list") == {
        "timezone": "GMT",
        "overlap": "queue",
        "catch_up": "none",
        "name": "job",
    }


def test_the_same_name_changes_the_job_and_no_name_makes_another(db: Database) -> None:
    db.execute(DAILY.encode())
    db.execute(b"update postmill.schedules set next_at = now()")
    assert value(db, "select cron.schedule('job', '@hourly', 'select 2')") == value(
        db, "select jobid from cron.job"
    )
    assert row(db, "select schedule, command from cron.job") == {"schedule": "@hourly", "command": "select 2"}
    assert value(db, "select next_at from postmill.schedules") is None, "another time is read anew"
    for _ in range(2):
        db.execute(b"select cron.schedule('@hourly', 'select 2')")
    assert value(db, "select count(*) from cron.job where jobname is null") == 2


def test_a_name_that_a_schedule_has_is_given_the_users_behind_it(db: Database, queue: str) -> None:
    db.execute(b"select postmill.schedule('job', '@daily', 're-size')")
    db.execute(DAILY.encode())
    db.execute(DAILY.encode())
    assert column(db, "select name from postmill.schedule_list order by name") == ["job", "job (postgres)"]
    assert column(db, "select jobname from cron.job") == ["job"]


def test_a_job_is_altered(db: Database) -> None:
    job = value(db, DAILY)
    db.execute(f"select cron.alter_job({job}, active => false)".encode())
    assert row(db, "select active, schedule from cron.job") == {"active": False, "schedule": "0 3 * * *"}
    db.execute(f"select cron.alter_job({job}, '@hourly', 'select 3', active => true)".encode())
    assert row(db, "select active, schedule, command from cron.job") == {
        "active": True,
        "schedule": "@hourly",
        "command": "select 3",
    }
    with refused("22023", "invalid schedule"):
        db.execute(f"select cron.alter_job({job}, 'x')".encode())
    with refused("42704", "there is no job 99"):
        db.execute(b"select cron.alter_job(99)")


def test_a_job_is_removed_by_its_id_or_its_name(db: Database) -> None:
    assert value(db, f"select cron.unschedule(({DAILY}))") is True
    db.execute(DAILY.encode())
    assert value(db, "select cron.unschedule('job')") is True
    assert rows(db, "select * from cron.job") == []
    for unknown in ("1", "'job'"):
        with refused("42704", "there is no job"):
            db.execute(f"select cron.unschedule({unknown})".encode())


def test_this_database_only(db: Database) -> None:
    here = value(db, "select current_database()")
    assert value(
        db, f"select cron.schedule_in_database('a', '@daily', 'select 1', '{here}', active => false)"
    )
    assert value(db, "select active from cron.job") is False
    with refused("0A000", "a job runs in the database that it is scheduled in"):
        db.execute(b"select cron.schedule_in_database('b', '@daily', 'select 1', 'elsewhere')")
    with refused("0A000", "a job runs as the user who schedules it"):
        db.execute(f"select cron.schedule_in_database('b', '@daily', 'x', '{here}', 'alice')".encode())


def test_nulls_schedule_nothing_as_in_pg_cron(db: Database) -> None:
    assert value(db, "select cron.schedule('job', null, 'select 1')") is None
    assert rows(db, "select * from cron.job") == []


@pytest.mark.parametrize(
    ("status", "said", "shown"),
    [
        ("succeeded", "'SELECT 1', null", ("succeeded", "1 row")),
        ("succeeded", "'SELECT 5', null", ("succeeded", "5 rows")),
        ("succeeded", "'DELETE 5', null", ("succeeded", "DELETE 5")),
        ("failed", "null, 'no'", ("failed", "ERROR:  no")),
        ("unknown", "null, 'the scheduler ended'", ("failed", "the scheduler ended")),
        ("running", "null, null", ("running", None)),
        ("pending", "null, null", ("starting", None)),
    ],
)
def test_a_run_stands_as_pg_cron_shows_it(
    db: Database, status: str, said: str, shown: tuple[str, str | None]
) -> None:
    job = value(db, DAILY)
    db.execute(b"select postmill.run_schedule('job')")
    db.execute(RAN.encode())
    db.execute(
        f"update postmill.schedule_runs set (returned, reason) = ({said}), status = '{status}'".encode()
    )
    found = row(db, "select * from cron.job_run_details")
    assert (found["status"], found["return_message"]) == shown
    assert " ".join(found) == (
        "jobid runid job_pid database username command status return_message start_time end_time"
    )
    assert (found["jobid"], found["username"], found["command"]) == (job, "postgres", "select 1")


def test_a_command_that_changes_leaves_what_its_runs_say(db: Database) -> None:
    db.execute(DAILY.encode())
    db.execute(b"select postmill.run_schedule('job')")
    db.execute(RAN.encode())
    db.execute(b"select cron.schedule('job', '0 3 * * *', 'select 2')")
    assert value(db, "select command from cron.job_run_details") == "select 1"


def test_the_history_is_tidied_up_as_people_do(db: Database) -> None:
    """What runs, or waits to, stays."""
    db.execute(DAILY.encode())
    db.execute(b"select postmill.run_schedule('job')")
    db.execute(RAN.encode())
    db.execute(b"select postmill.run_schedule('job')")
    db.execute(b"delete from cron.job_run_details")
    assert column(db, "select status from cron.job_run_details") == ["starting"]


def test_a_schedule_of_a_command_becomes_one_of_messages_and_back(db: Database, queue: str) -> None:
    db.execute(b"select postmill.schedule_sql('a', '@daily', 'select 1')")
    db.execute(b"select postmill.schedule('a', '@daily', 're-size')")
    assert row(db, "select run_as, target from postmill.schedule_list") == {
        "run_as": None,
        "target": {"queue": "re-size", "message": {}},
    }
    db.execute(b"select postmill.schedule_sql('a', '@daily', 'select 1')")
    assert row(db, "select run_as, target from postmill.schedule_list") == {
        "run_as": "postgres",
        "target": {"command": "select 1"},
    }
    with refused("PM003", "there is no command"):
        db.execute(b"select postmill.schedule_sql('a', '@daily', ' ')")


def test_a_stranger_reaches_nothing(db: Database, stranger: Database) -> None:
    for attempt in (
        "select cron.schedule('@daily', 'select 1')",
        "select * from cron.job",
        "select * from postmill_commands.running_here",
        "create function postmill_commands.f() returns int language sql as 'select 1'",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied for schema"):
            stranger.execute(attempt.encode())
