"""Graph flows under races come to what the interpreter says: each step and each run ends once."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.faults.flow_graphs import fan_in, random_graph
from tests.faults.flow_race import QUEUE, FlowRace, kill

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.protocol import Database

SETTLERS = 4


def race_of(db: Database, connect: Callable[[], Database], graphs: int) -> FlowRace:
    seed = random.randrange(10**6)
    print("seed", seed)
    dice = random.Random(seed)
    return FlowRace(db, connect, [random_graph(f"flow{each}", dice) for each in range(graphs)])


def test_random_graphs_come_to_what_the_interpreter_says(
    db: Database, connect: Callable[[], Database]
) -> None:
    race = race_of(db, connect, 40)
    race.start(2)
    race.run(SETTLERS)
    assert race.mistakes() == []


def test_late_lost_doubled_and_forged(db: Database, connect: Callable[[], Database]) -> None:
    race = race_of(db, connect, 30)
    race.meddling = 0.05
    race.start(2)
    race.run(SETTLERS, kill)
    assert race.mistakes() == []


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("meddling", [0.0, 0.03])
def test_hundreds_of_random_graphs(db: Database, connect: Callable[[], Database], meddling: float) -> None:
    race = race_of(db, connect, 300)
    race.meddling = meddling
    race.start(3)
    race.run(SETTLERS, *[kill] * (meddling > 0), most_s=300.0)
    assert race.killed > 0 or not meddling
    assert race.mistakes() == []


def test_the_race_sees_a_step_that_never_begins(db: Database, connect: Callable[[], Database]) -> None:
    """The control: a message is lost. What the lock on runs is for is shown in test_flow_locks."""
    race = FlowRace(db, connect, [fan_in("wide", 8)], batches=(1, 2, 3))
    race.start(3)
    db.execute(f"delete from pgmq.q_{QUEUE} where msg_id = (select min(msg_id) from pgmq.q_{QUEUE})".encode())
    race.run(SETTLERS)
    assert len(race.mistakes()) == 1
