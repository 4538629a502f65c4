"""Where isolates come from: a zygote, which may be killed as well, or a fresh process where forking is not
wise.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from postmill.host.host import Host
from postmill.host.instance import instance
from postmill.host.launch import fork_launcher
from postmill.host.launch.spawn_launcher import SpawnLauncher
from postmill.model.errors import TimedOut
from postmill.model.events import Event
from postmill.model.functions.failures import BootFailed, FunctionDied, LimitReached
from postmill.model.functions.limits import EndReason, Limits
from postmill.model.functions.settings import RuntimeSettings
from tests.runtime.functions.scene import children, copy_functions, hosting, is_alive

if TYPE_CHECKING:
    from postmill.host.launch.launcher import Process

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


async def test_a_process_that_can_not_be_started_is_a_boot_error(tmp_path: Path) -> None:
    """Once there are descriptors again, the function is served."""
    with_trouble = Troubled()
    async with hosting(tmp_path / "f", make_launcher=lambda *_: with_trouble) as scene:
        with pytest.raises(BootFailed) as caught:
            await scene.call("healthy")
        assert "Too many open files" in caught.value.why
        with_trouble.descriptors = True
        await scene.host.recycle("healthy")
        assert (await scene.call("healthy")).status == 200


async def test_a_zygote_that_does_not_become_ready_is_told_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fork_launcher, "READY_S", 0)
    before = set(children())
    with pytest.raises(TimedOut, match="preload"):
        await Host(tmp_path, RuntimeSettings(), {}, {}, None).start()
    assert set(children()) <= before


async def test_what_every_isolate_needs_is_there_before_the_fork(tmp_path: Path) -> None:
    """An import that each isolate did for itself made a start ten times as long."""
    copy_functions(tmp_path / "f", WORKING, "newcomers")
    async with hosting(tmp_path / "f") as scene:
        assert (await scene.call("newcomers")).body == b"[]"


async def test_a_host_can_be_started_again(tmp_path: Path) -> None:
    """After its first stop it answered nothing but CAPACITY."""
    async with hosting(tmp_path / "f") as scene:
        await scene.call("healthy")
        await scene.host.stop()
        await scene.host.start()
        assert (await scene.call("healthy")).status == 200
        assert len(scene.events(Event.FUNCTION_BOOTED, "healthy")) == 2


async def test_a_module_that_can_not_be_preloaded_is_told(tmp_path: Path, capfd: Any) -> None:
    runtime = RuntimeSettings(preload=("no_such_module", "wave"))
    async with hosting(tmp_path / "f", runtime=runtime) as scene:
        assert (await scene.call("healthy")).status == 200
    assert "no_such_module can't be preloaded: ModuleNotFoundError" in capfd.readouterr().err


async def test_a_start_that_was_given_up_leaves_no_process() -> None:
    """The zygote was too busy; what it forks later would belong to nobody."""
    before = set(children())
    launcher = fork_launcher.ForkLauncher((), lambda: None)
    await launcher.start()
    (zygote,) = set(children()) - before
    os.kill(zygote, signal.SIGSTOP)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        launching = asyncio.create_task(launcher.launch(theirs, *[theirs.fileno()] * 3))
        await asyncio.sleep(0)  # the order is given
        launching.cancel()
        await asyncio.wait({launching})
        os.kill(zygote, signal.SIGCONT)
        process = await launcher.launch(theirs, *[theirs.fileno()] * 3)  # orders are done one after the other
        async with asyncio.timeout(20):
            while children(zygote) != [await process.pid]:  # noqa: ASYNC110 - only the system knows
                await asyncio.sleep(0.02)
    await launcher.stop()


class Troubled(SpawnLauncher):
    """Has no descriptors to give."""

    descriptors = False

    async def launch(self, channel: socket.socket, stdout: int, stderr: int, records: int) -> Process:
        """As its parent, when it can."""
        if not self.descriptors:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return await super().launch(channel, stdout, stderr, records)


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


async def test_a_host_stops_though_its_zygote_is_halted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No kill is carried out and no end is told: the stop waited for ever."""
    monkeypatch.setattr(instance, "KILLED_S", 0.1)
    monkeypatch.setattr(fork_launcher, "END_S", 0.1)
    before = set(children())
    runtime = RuntimeSettings(grace_s=0.1)
    async with hosting(tmp_path / "f", "blocks_loop", runtime=runtime) as scene:
        (zygote,) = set(children()) - before
        request = asyncio.create_task(scene.call("blocks_loop", query=b"block=1"))
        await scene.until(Event.FUNCTION_BOOTED, "blocks_loop")
        (isolate,) = children(zygote)
        os.kill(zygote, signal.SIGSTOP)
        await scene.host.stop()
        with pytest.raises(FunctionDied):
            await request
        assert "no end" in scene.events(Event.HOST_FAILED, "blocks_loop")[0]["reason"]
        while is_alive(isolate):
            reap([isolate])
            await asyncio.sleep(0.01)


def reap(pids: list[int]) -> None:
    """Take away ends that came to this process because it adopts orphans."""
    for pid in pids:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            continue
