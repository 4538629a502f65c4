"""Slots that several dispatchers share: nobody has a part of its own, and nobody waits for ever."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from postmill.engine.run.slots import Slots


@dataclass(eq=False)
class User:
    """A dispatcher as the others see it: messages that wait and messages that run."""

    slots: Slots
    ready: int = 0
    running: int = 0
    begun: int = 0
    rate: float = 0.0
    looks: int = 0
    order: list[User] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.slots.join(self)

    @property
    def waiting(self) -> int:
        return self.ready

    def serve(self) -> None:
        while self.ready and self.slots.are_free:
            self.ready -= 1
            self.running += 1
            self.begun += 1
            self.slots.began()
            self.order.append(self)

    def look_for_room(self) -> None:
        self.looks += 1

    def end_one(self) -> None:
        self.running -= 1
        self.slots.ended(self)


def two(most: int) -> tuple[Slots, User, User]:
    slots, order = Slots(most), list[User]()
    return slots, User(slots, order=order), User(slots, order=order)


def test_one_alone_has_all() -> None:
    slots = Slots(3)
    alone = User(slots, ready=5)
    alone.serve()
    assert (alone.running, slots.free_for(alone), slots.reach_of(alone)) == (3, 0, 3)
    assert (slots.in_advance(alone), slots.are_due_to_another(alone)) == (0, False)
    alone.end_one()
    assert (alone.running, alone.ready, slots.running) == (3, 1, 3)


def test_one_with_work_has_all_while_the_other_has_none() -> None:
    slots, busy, idle = two(10)
    busy.ready = 30
    busy.serve()
    assert (busy.running, slots.reach_of(idle)) == (10, 0)
    assert slots.free_for(idle) <= 0
    busy.end_one()
    assert (busy.running, idle.looks) == (10, 1)


def test_a_slot_that_ends_goes_to_whoever_has_fewest() -> None:
    _, busy, other = two(4)
    busy.ready = 100
    busy.serve()
    other.ready = 100
    for _ in range(2):
        busy.end_one()
    assert (busy.running, other.running) == (2, 2)
    for _ in range(6):  # whoever ends one: both keep their half
        busy.end_one()
        other.end_one()
        assert {busy.running, other.running} == {2}


def test_the_only_slot_goes_to_and_fro() -> None:
    slots, one, other = two(1)
    one.ready = other.ready = 3
    one.serve()
    while slots.running:
        (one if one.running else other).end_one()
    assert [each is one for each in one.order] == [True, False] * 3


def test_what_others_hold_ready_comes_before_a_new_claim() -> None:
    slots, one, other = two(10)
    other.ready = 4
    assert (slots.free_for(one), slots.free_for(other)) == (6, 10)


def test_a_task_gives_its_slot_up_to_whoever_has_fewer() -> None:
    slots, one, other = two(2)
    one.ready = 9
    one.serve()
    assert not slots.are_due_to_another(one)
    other.ready = 1
    assert slots.are_due_to_another(one)
    assert not slots.are_due_to_another(other)


@pytest.mark.parametrize(("rate", "may"), [(0.0, 0), (0.9, 0), (20.0, 2), (1_000.0, 5)])
def test_a_share_is_claimed_in_advance_where_slots_end_soon(rate: float, may: int) -> None:
    slots, busy, starved = two(10)
    busy.ready, busy.rate = 500, rate
    busy.serve()
    assert slots.in_advance(starved) == may
    assert slots.in_advance(busy) == 0
