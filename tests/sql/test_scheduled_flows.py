"""Schedules whose ticks start runs of flows: one run a tick, and a schedule's run that ends as the flow's
does.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg
import pytest

from postmill.db.tools import roles
from postmill.model.flow.shape import FlowShape, StepShape
from tests.sql.asking import Database, column, refused, row, rows, value
from tests.sql.test_schedules import fire

if TYPE_CHECKING:
    from collections.abc import Callable

STATUS = "select status from postmill.schedule_history order by tick"
REASON = "select reason from postmill.schedule_history order by tick desc limit 1"


def scheduled(db: Database, arguments: str = "input => '{\"a\": 1}'") -> int:
    """A schedule of a flow of one step."""
    known(db)
    made: int = value(db, f"select postmill.schedule_flow('nightly', '@daily', 'f', {arguments})")
    return made


def known(db: Database, condition: object = None) -> None:
    step = StepShape(name="work", when=condition)  # type: ignore[arg-type]
    shape = json.dumps(FlowShape((step,)).as_json())
    db.execute("select postmill.register_flow('f', 'graph', 'f', $1::jsonb, '{}')", [shape])


def settle(db: Database, run: int) -> None:
    """The step is done."""
    db.execute(b"""select postmill._settle_steps($1, '{work}', array[null::integer], '{"1"}')""", [[run]])


def started(db: Database) -> list[int]:
    """The runs that schedules have started."""
    found: list[int] = column(
        db, "select flow_run from postmill.schedule_history where flow_run is not null order by 1"
    )
    return found


def one(day: int) -> str:
    """One tick."""
    return f"array['2026-05-{day:02} 09:00+00', null]::timestamptz[]"


def test_a_tick_starts_a_run_and_ends_with_it(db: Database) -> None:
    schedule = scheduled(db)
    assert fire(db, schedule, one(1)) == ["sent"]
    (run,) = started(db)
    assert row(db, "select flow, input, state from postmill.runs") == {
        "flow": "f",
        "input": {"a": 1},
        "state": "running",
    }
    settle(db, run)
    assert column(db, STATUS) == ["succeeded"]
    shown = row(db, "select fires, last_status, is_failing from postmill.schedule_list")
    assert shown == {"fires": "flow:f", "last_status": "succeeded", "is_failing": False}
    assert fire(db, schedule, one(1)) == [], "a tick fires once"
    assert started(db) == [run]


def test_while_a_run_goes_on_overlap_says_what_a_tick_does(db: Database) -> None:
    schedule = scheduled(db)
    assert fire(db, schedule) == ["sent", "skipped"]
    (run,) = started(db)
    assert value(db, REASON) == f"run {run}, of a tick before, has not ended"
    settle(db, run)
    assert fire(db, schedule, one(2)) == ["sent"]
    scheduled(db, "overlap => 'allow'")
    assert fire(db, schedule, one(3)) == ["sent"]
    assert len(started(db)) == 3


def test_a_run_that_fails_fails_the_schedules_run_and_a_retry_mends_it(db: Database) -> None:
    schedule = scheduled(db)
    fire(db, schedule, one(1))
    (run,) = started(db)
    db.execute(b"select postmill._fail_steps($1, '{work}', array[null::integer], '{no luck}')", [[run]])
    assert (column(db, STATUS), value(db, REASON)) == (["failed"], "work: no luck")
    assert row(db, "select is_failing, last_error from postmill.schedule_list") == {
        "is_failing": True,
        "last_error": "work: no luck",
    }
    value(db, "select postmill.retry_run($1)", run)
    settle(db, run)
    assert (column(db, STATUS), value(db, REASON)) == (["succeeded"], None)


def test_a_run_that_is_cancelled_or_deleted_is_told_as_such(db: Database) -> None:
    schedule = scheduled(db)
    fire(db, schedule, one(1))
    db.execute(b"select postmill.cancel_run($1, 'enough')", [started(db)[0]])
    assert column(db, STATUS) == ["cancelled"]
    fire(db, schedule, one(2))
    db.execute(b"delete from postmill.runs")
    db.execute(b"update postmill.schedule_runs set fired_at = fired_at - interval '2 minutes'")
    assert value(db, "select postmill.tidy_schedule_runs()") == 1
    assert (column(db, STATUS), value(db, REASON)) == (["cancelled", "unknown"], "the run was deleted")


def test_a_run_that_has_ended_at_its_start_is_no_run_that_goes_on(db: Database) -> None:
    """Every step of it was skipped."""
    known(db, {"of": "input", "path": ["go"], "equals": True})
    schedule = value(db, "select postmill.schedule_flow('nightly', '@daily', 'f')")
    fire(db, schedule)
    assert column(db, STATUS) == ["succeeded", "succeeded"]


def test_a_row_that_is_locked_keeps_no_run_from_ending(db: Database, connect: Callable[[], Database]) -> None:
    schedule = scheduled(db)
    fire(db, schedule, one(1))
    holder = connect()
    with holder.transaction():
        holder.execute(b"select from postmill.schedule_runs for update")
        settle(db, started(db)[0])
        assert value(db, "select state from postmill.runs") == "completed"
    assert column(db, STATUS) == ["sent"]
    db.execute(b"update postmill.schedule_runs set fired_at = fired_at - interval '2 minutes'")
    assert value(db, "select postmill.tidy_schedule_runs()") == 1
    assert column(db, STATUS) == ["succeeded"]


def test_a_run_of_a_schedule_can_be_asked_for(db: Database) -> None:
    scheduled(db)
    run = value(db, "select postmill.run_schedule('nightly')")
    assert started(db) == [run]


def test_a_flow_that_is_gone_fails_its_tick_only(db: Database) -> None:
    schedule = scheduled(db)
    db.execute(b"delete from postmill.flow_steps")
    db.execute(b"delete from postmill.flow_versions")
    assert fire(db, schedule, one(1)) == ["failed"]
    assert "there is no flow" in value(db, REASON)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("'n', '@daily', 'other'", "PM010", "there is no flow 'other'"),
        ("'n', '@daily', null", "PM010", "there is no flow null"),
        ("'n', '@daily', 'f', null", "PM003", "the message is null"),
        ("'n', '@daily', 'f', overlap => 'queue'", "PM003", "no run of a flow waits for another one"),
        ("'n', '@daily', 'f', timezone => 'Berlin'", "PM003", "not the name of a time zone"),
    ],
)
def test_what_can_be_no_schedule_of_a_flow_is_refused(
    db: Database, arguments: str, code: str, says: str
) -> None:
    known(db)
    with refused(code, says):
        db.execute(f"select postmill.schedule_flow({arguments})".encode())


def declared(db: Database, schedule: str | None = "@daily") -> str | None:
    found: str | None = value(db, "select postmill.declare_flow_schedule('f', $1, 'UTC')", schedule)
    return found


def test_what_a_flows_code_says_is_followed(db: Database) -> None:
    known(db)
    assert declared(db, None) is None
    assert (declared(db), declared(db), declared(db, "@hourly")) == ("made", None, "changed")
    assert row(db, "select name, fires, declared_by from postmill.schedule_list") == {
        "name": "flow.f",
        "fires": "flow:f",
        "declared_by": "f",
    }
    assert (declared(db, None), rows(db, "select * from postmill.schedules")) == ("removed", [])
    db.execute(b"select postmill.schedule_flow('flow.f', '@daily', 'f')")
    with refused("PM005", "made by hand"):
        declared(db)
    assert declared(db, None) is None, "what a person has made stays"


def test_a_scheduler_fires_what_it_can_neither_see_nor_change(db: Database, stranger: Database) -> None:
    schedule = scheduled(db)
    roles.grant(db)
    db.execute(b"grant postmill_scheduler to stranger")
    assert fire(stranger, schedule, one(1)) == ["sent"]
    settle(db, started(db)[0])
    assert column(db, STATUS) == ["succeeded"]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        stranger.execute(b"update postmill.runs set state = 'failed'")
