"""Where isolates come from: a zygote, which may be killed as well, or a fresh process where forking is not
wise.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from postmill.host.launcher import SpawnLauncher
from postmill.model.events import Event
from postmill.model.function_failures import FunctionDied, LimitReached
from postmill.model.function_limits import EndReason, Limits
from tests.runtime.functions.scene import children, copy_functions, hosting, is_alive

WORKING = Path(__file__).parent / "working"


async def test_without_a_zygote_functions_are_served_too(tmp_path: Path) -> None:
    settings = {"infinite_loop": {"limits": Limits(cpu_hard_s=0.3)}}
    async with hosting(
        tmp_path / "f", "infinite_loop", settings=settings, make_launcher=lambda *_: SpawnLauncher()
    ) as scene:
        assert (await scene.call("healthy")).status == 200
        with pytest.raises(LimitReached):
            await scene.call("infinite_loop")
        await scene.host.stop_function("healthy")
        (said,) = scene.events(Event.FUNCTION_SHUTDOWN, "healthy")
        assert (said["reason"], said["exit"]) == (EndReason.TERMINATION_REQUESTED, "exit 0")


async def test_when_the_zygote_is_killed_another_one_takes_its_place(tmp_path: Path) -> None:
    copy_functions(tmp_path / "f", WORKING, "hangs_up")
    before = set(children())
    async with hosting(tmp_path / "f", "double_forks") as scene:
        (zygote,) = set(children()) - before
        hanging = asyncio.create_task(scene.call("hangs_up"))
        await scene.until(Event.FUNCTION_LOG, "hangs_up")
        await scene.call("healthy")
        isolates = children(zygote)
        os.kill(zygote, signal.SIGKILL)
        with pytest.raises(FunctionDied):
            await hanging
        await scene.until(Event.ISOLATES_LOST)
        await scene.until(Event.FUNCTION_SHUTDOWN, "healthy")
        assert (await scene.call("healthy")).status == 200
        reap(isolates)
        assert not any(is_alive(pid) for pid in isolates)


async def test_isolates_end_with_a_host_that_is_killed(tmp_path: Path) -> None:
    """The host has no chance to say anything; nothing of it may stay, not even a daemon of a function."""
    copy_functions(tmp_path / "f", Path(__file__).parent / "pathological", "double_forks")
    before = set(children())
    async with hosting(tmp_path / "other"):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).parent / "host_process.py"),
            str(tmp_path / "f"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        daemon, zygote = [int(word) for word in (await process.stdout.readline()).split()]
        assert is_alive(daemon)
        process.kill()
        await process.wait()
        while {zygote, daemon} & set(children()):
            reap([zygote, daemon])
            await asyncio.sleep(0.01)
        assert not is_alive(daemon)
        assert not is_alive(zygote)
    assert set(children()) <= before


def reap(pids: list[int]) -> None:
    """Take away ends that came to this process because it adopts orphans."""
    for pid in pids:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            continue
