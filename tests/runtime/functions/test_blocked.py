"""An event loop that hangs: it is told of with the culprit's stack, shown, and its function is replaced."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from postmill.model.events import Event
from postmill.model.functions.failures import LimitReached
from postmill.model.functions.limits import EndReason, Limits
from postmill.model.functions.settings import RuntimeSettings
from tests.runtime.functions.scene import hosting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.runtime.functions.scene import Scene


def state(scene: Scene, slug: str) -> str:
    """As the list shows it."""
    return {info.slug: info.state for info in scene.host.functions()}[slug]


@pytest.mark.parametrize("way", ["spin", "backtrack"])
async def test_a_loop_that_hangs_is_told_of_with_its_stack(way: str, tmp_path: Path) -> None:
    """Also inside C code that holds the interpreter's lock, where no thread of the isolate could say it."""
    limits = Limits(blocked_s=0)
    async with hosting(tmp_path / "f", "loops", limits=limits) as scene:
        assert (await scene.call("loops")).body == b"free"
        request = asyncio.create_task(scene.call("loops", query=f"way={way}".encode()))
        (said,) = await scene.until(Event.FUNCTION_BLOCKED, "loops")
        assert said["blocked_s"] >= 1
        assert f"in {way}" in said["traceback"]
        assert "loops.py" in said["traceback"]
        assert state(scene, "loops") == "blocked"
        assert (await scene.call("healthy")).status == 200
        await scene.host.stop_function("loops")
        with pytest.raises(Exception, match="ended before it had answered"):
            await request


async def test_a_function_that_hangs_is_replaced_and_then_ended(tmp_path: Path) -> None:
    """One endless loop: others are served by the next process, and the first one is killed at its limit."""
    limits = Limits(blocked_s=6)
    async with hosting(tmp_path / "f", "loops", limits=limits) as scene:
        hanging = asyncio.create_task(scene.call("loops", query=b"way=spin"))
        await scene.until(Event.FUNCTION_RETIRED, "loops")
        assert [said["why"] for said in scene.events(Event.FUNCTION_RETIRED, "loops")] == ["blocked"]
        assert (await scene.call("loops")).body == b"free"
        with pytest.raises(LimitReached) as caught:
            await hanging
        assert caught.value.reason == EndReason.BLOCKED
        await scene.until(Event.FUNCTION_SHUTDOWN, "loops")


async def test_a_request_that_comes_meanwhile_waits_for_the_replacement(tmp_path: Path) -> None:
    """It is not handed to the loop that hangs, where nothing would answer it."""
    limits = Limits(blocked_s=30)
    async with hosting(
        tmp_path / "f", "loops", limits=limits, runtime=RuntimeSettings(limits=limits, grace_s=0.2)
    ) as scene:
        hanging = asyncio.create_task(scene.call("loops", query=b"way=spin"))
        await scene.until(Event.FUNCTION_BLOCKED, "loops")
        assert (await scene.call("loops")).body == b"free"
        assert not hanging.done()
        hanging.cancel()
        await asyncio.wait({hanging})
