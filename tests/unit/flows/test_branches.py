"""Names of steps in functions that a workflow runs at the same time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from postmill.flows.branches import Branches

if TYPE_CHECKING:
    from collections.abc import Callable


async def reserve_and_ship(
    named: Callable[[str], str], turn: asyncio.Event, done: asyncio.Event
) -> list[str]:
    """Two calls: the second one when it is this branch's turn."""
    found = [named("reserve")]
    await turn.wait()
    found += [named("ship"), named("ship")]
    done.set()
    return found


@pytest.mark.parametrize("quicker", [0, 1])
async def test_a_branch_names_its_steps_whichever_is_quicker(quicker: int) -> None:
    named = Branches().named
    free, done = asyncio.Event(), asyncio.Event()
    free.set()
    turns = [(free, done), (done, asyncio.Event())]
    found = await asyncio.gather(*(reserve_and_ship(named, *turns[place != quicker]) for place in range(2)))
    assert found == [[f"reserve@{n}", f"reserve@{n}/ship", f"reserve@{n}/ship"] for n in (1, 2)]
    assert named("ship") == "ship"


async def test_a_call_that_is_handed_to_a_task_is_the_functions_own() -> None:
    named = Branches().named

    async def awaited(name: str) -> str:
        return name

    work = [asyncio.create_task(awaited(named("ship"))) for _ in range(2)]
    assert [await each for each in work] == ["ship", "ship"]


async def test_what_the_function_does_meanwhile_takes_no_name_of_a_branch() -> None:
    """In a replay the function comes to its next call before the branch begins."""
    named = Branches().named

    async def branch() -> str:
        return named("ship")

    for pause in (0, 1):
        begun = asyncio.create_task(branch())
        await asyncio.sleep(0) if pause else None
        assert named("ship") == "ship"
        assert await begun == f"ship@{pause + 1}"


async def test_a_branch_has_branches() -> None:
    named = Branches().named

    async def inner() -> str:
        return named("pack")

    async def outer() -> list[str]:
        return [named("pick"), *await asyncio.gather(inner(), inner()), named("pack")]

    first, second = await asyncio.gather(outer(), outer())
    assert first == ["pick@1", "pick@1/pack@1", "pick@1/pack@2", "pick@1/pack"]
    assert second == ["pick@2", "pick@2/pack@1", "pick@2/pack@2", "pick@2/pack"]


async def test_a_run_inside_of_another_one_has_its_own(  # as in a simulation
) -> None:
    outer = Branches()

    async def child() -> tuple[str, str]:
        inner = Branches()
        return outer.named("run"), inner.named("pack")

    assert list(await asyncio.gather(child())) == [("run@1", "pack")]


def test_outside_of_a_loop_there_are_none() -> None:
    assert Branches().named("ship") == "ship"


async def test_in_a_thread_a_call_is_where_the_thread_was_begun() -> None:
    named = Branches().named

    async def branch() -> list[str]:
        return [named("pick"), await asyncio.to_thread(named, "pack")]

    assert list(await asyncio.gather(branch())) == [["pick@1", "pick@1/pack"]]
