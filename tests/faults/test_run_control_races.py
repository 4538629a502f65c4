"""Runs that are steered while settlers race come to what the interpreter says, once they may go on."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.faults.flow_graphs import fan_in, random_graph
from tests.faults.flow_race import kill
from tests.faults.steered_race import SteeredRace
from tests.sql.asking import value

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.protocol import Database

SETTLERS = 3


def race_of(db: Database, connect: Callable[[], Database], graphs: int) -> SteeredRace:
    seed = random.randrange(10**6)
    print("seed", seed)
    dice = random.Random(seed)
    return SteeredRace(db, connect, [random_graph(f"flow{each}", dice) for each in range(graphs)])


@pytest.mark.parametrize("others", [(), (kill,)], ids=["in peace", "sessions are ended"])
def test_steered_runs_come_to_what_the_interpreter_says(
    db: Database, connect: Callable[[], Database], others: tuple[Callable[..., None], ...]
) -> None:
    race = race_of(db, connect, 30)
    race.meddling = 0.03 if others else 0.0
    race.start(2)
    race.steer_for(5.0, SETTLERS, *others)
    race.let_end(SETTLERS)
    print(race.done, "sessions ended:", race.killed)
    assert race.mistakes() == []
    assert race.deadlocks == 0
    assert all(race.done.values())


def test_the_race_sees_a_task_that_is_lost(db: Database, connect: Callable[[], Database]) -> None:
    """The control: it is dropped while its run is paused. What keeps one that is held while its run is
    resumed is shown in test_flow_locks.
    """
    race = SteeredRace(db, connect, [fan_in("wide", 8)], batches=(1, 2, 3))
    race.start(3)
    value(db, "select postmill.pause_run($1)", next(iter(race.runs)))
    settler = race.settler()
    while settler.turn():
        pass
    db.execute(b"delete from postmill.held_tasks where step = 'r0'")
    race.let_end(SETTLERS)
    assert len(race.mistakes()) == 1
