"""Functions that do everything wrong: each ends with its own status, code, reason and event; the host and the
other functions never notice, and nothing remains (``hosting`` looks).
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from postmill.model.events import Event
from postmill.model.functions.failures import (
    BootFailed,
    FunctionDied,
    FunctionFailure,
    HandlerRaised,
    LimitReached,
    ResponseCut,
    ResponseTimeout,
)
from postmill.model.functions.limits import HARD_LIMITS, EndReason, Limits
from postmill.model.functions.settings import RuntimeSettings
from tests.runtime.functions.scene import Scene, hosting, is_alive

if TYPE_CHECKING:
    from collections.abc import Callable


async def healthy(scene: Scene) -> int:
    """The other function answers; from which process."""
    answer = await scene.call("healthy")
    assert answer.status == 200
    return int(answer.body.split(b":")[1].split(b",")[0])


async def fails(scene: Scene, slug: str, kind: type[FunctionFailure], query: bytes = b"") -> FunctionFailure:
    """A request fails in this way, and the healthy function notices nothing."""
    process = await healthy(scene)
    with pytest.raises(kind) as caught:
        await scene.call(slug, query=query)
    assert type(caught.value) is kind
    assert await healthy(scene) == process
    return caught.value


async def ended(scene: Scene, slug: str) -> EndReason:
    """Why the function's process ended."""
    return EndReason((await scene.until(Event.FUNCTION_SHUTDOWN, slug))[0]["reason"])


async def reasons(scene: Scene, slug: str, wanted: EndReason) -> list[str]:
    """Why processes of the function have ended, once one has for the ``wanted`` reason: its replacement may
    have come to an end of its own before.
    """
    count = 1
    while True:
        found = [said["reason"] for said in await scene.until(Event.FUNCTION_SHUTDOWN, slug, count)]
        if wanted in found:
            return found
        count = len(found) + 1


@pytest.mark.parametrize(
    ("slug", "query", "limits", "reason"),
    [
        ("infinite_loop", b"", Limits(cpu_soft_s=0.2, cpu_hard_s=0.4), EndReason.CPU_TIME),
        ("blocks_loop", b"block=1", Limits(wall_clock_s=1), EndReason.WALL_CLOCK),
        ("eats_slowly", b"", Limits(memory_mb=100), EndReason.MEMORY),
        ("eats_at_once", b"", Limits(memory_mb=100), EndReason.MEMORY),
    ],
)
async def test_whoever_passes_a_limit_is_stopped_by_name(
    slug: str, query: bytes, limits: Limits, reason: EndReason, tmp_path: Path
) -> None:
    async with hosting(tmp_path / "f", slug, settings={slug: {"limits": limits}}) as scene:
        failure = await fails(scene, slug, LimitReached, query)
        assert (failure.status, failure.code, failure.reason) == (546, "WORKER_LIMIT", reason)
        assert reason in await reasons(scene, slug, reason)
        (said,) = (
            said for said in await scene.until(Event.FUNCTION_SHUTDOWN, slug) if said["reason"] == reason
        )
        assert (said["limit"], said["allowed"]) == (HARD_LIMITS[reason], getattr(limits, HARD_LIMITS[reason]))


async def test_who_does_not_answer_in_time_is_told_so_and_replaced(tmp_path: Path) -> None:
    runtime = RuntimeSettings(response_timeout_s=0.5, grace_s=0.2)
    async with hosting(tmp_path / "f", "blocks_loop", runtime=runtime) as scene:
        failure = await fails(scene, "blocks_loop", ResponseTimeout, b"block=1")
        assert (failure.status, failure.code) == (504, "IDLE_TIMEOUT")
        await scene.until(Event.FUNCTION_RETIRED, "blocks_loop")
        assert (await scene.call("blocks_loop")).body == b"did not block"


async def test_children_end_with_the_function(tmp_path: Path) -> None:
    async with hosting(tmp_path / "f", "forks_children") as scene:
        pids = [int(pid) for pid in (await scene.call("forks_children")).body.strip(b"[]").split(b",")]
        assert all(is_alive(pid) for pid in pids)
        await scene.host.stop_function("forks_children")
        assert await ended(scene, "forks_children") == EndReason.TERMINATION_REQUESTED
        assert not any(is_alive(pid) for pid in pids)
        await healthy(scene)


async def test_a_daemon_ends_with_the_function_that_forked_it(tmp_path: Path) -> None:
    async with hosting(tmp_path / "f", "double_forks") as scene:
        daemon = int((await scene.call("double_forks")).body)
        assert is_alive(daemon)
        await healthy(scene)
        await scene.host.stop_function("double_forks")
        assert not is_alive(daemon)


async def test_a_function_that_ignores_signals_ends_after_the_grace(tmp_path: Path) -> None:
    runtime = RuntimeSettings(grace_s=0.2)
    async with hosting(tmp_path / "f", "ignores_sigterm", runtime=runtime) as scene:
        request = asyncio.create_task(scene.call("ignores_sigterm"))
        await scene.until(Event.FUNCTION_BOOTED, "ignores_sigterm")
        await asyncio.sleep(0)  # the request is on its way
        await scene.host.stop_function("ignores_sigterm")
        with pytest.raises(FunctionDied):
            await request
        assert await ended(scene, "ignores_sigterm") == EndReason.TERMINATION_REQUESTED
        await healthy(scene)


async def test_a_function_that_cuts_itself_off_has_died(tmp_path: Path) -> None:
    async with hosting(tmp_path / "f", "closes_sockets") as scene:
        failure = await fails(scene, "closes_sockets", FunctionDied)
        assert (failure.status, failure.code) == (500, "WORKER_ERROR")
        assert await ended(scene, "closes_sockets") == EndReason.CRASH


@pytest.mark.parametrize("slug", ["raises_at_import", "exits_at_import", "slow_import"])
async def test_what_can_not_be_started_is_a_boot_error(slug: str, tmp_path: Path) -> None:
    runtime = RuntimeSettings(boot_timeout_s=3 if slug == "slow_import" else 30)
    async with hosting(tmp_path / "f", slug, runtime=runtime) as scene:
        failure = await fails(scene, slug, BootFailed)
        assert (failure.status, failure.code) == (503, "BOOT_ERROR")
        assert "secret detail" not in failure.what
        assert await ended(scene, slug) == EndReason.STARTUP_FAILURE
        assert len(scene.events(Event.FUNCTION_BOOT_FAILED, slug)) == 1


async def test_the_log_says_why_a_function_can_not_be_imported(tmp_path: Path) -> None:
    async with hosting(tmp_path / "f", "raises_at_import") as scene:
        await fails(scene, "raises_at_import", BootFailed)
        (said,) = scene.events(Event.FUNCTION_BOOT_FAILED)
        assert "LookupError: a secret detail" in said["error"]
        assert "raises_at_import.py" in said["traceback"]


async def test_the_log_says_where_a_start_that_takes_too_long_is(tmp_path: Path) -> None:
    """An endless loop at import: "not ready after 3 s" alone names no line of it."""
    runtime = RuntimeSettings(boot_timeout_s=3)
    async with hosting(tmp_path / "f", "slow_import", runtime=runtime) as scene:
        await fails(scene, "slow_import", BootFailed)
        (said,) = scene.events(Event.FUNCTION_BOOT_FAILED)
        assert "slow_import.py" in said["traceback"]


async def test_a_failed_start_is_never_told_as_a_limit(tmp_path: Path) -> None:
    """One that takes its time to exit was judged by an age counted from the start of the machine."""
    folder = tmp_path / "f"
    folder.mkdir()
    slow_to_exit = "import sys, time\nsys.stdout.flush = lambda: time.sleep(0.5)\n1 / 0\n"
    (folder / "fails.py").write_text(slow_to_exit, encoding="utf-8")
    async with hosting(folder) as scene:
        await fails(scene, "fails", BootFailed)
        assert await ended(scene, "fails") == EndReason.STARTUP_FAILURE


async def test_a_slow_import_is_waited_for(tmp_path: Path) -> None:
    settings = {"slow_import": {"env": {"IMPORT_S": "0.3"}}}
    async with hosting(tmp_path / "f", "slow_import", settings=settings) as scene:
        answer = asyncio.create_task(scene.call("slow_import"))
        await healthy(scene)
        assert (await answer).body == b"at last"


@pytest.mark.parametrize("how", [b"_exit", b"signal"])
async def test_a_process_that_ends_mid_request_is_a_worker_error(how: bytes, tmp_path: Path) -> None:
    async with hosting(tmp_path / "f", "exits_mid_request") as scene:
        failure = await fails(scene, "exits_mid_request", FunctionDied, b"how=" + how)
        assert (failure.status, failure.code) == (500, "WORKER_ERROR")
        assert await ended(scene, "exits_mid_request") == EndReason.CRASH


async def test_a_handler_that_calls_exit_has_raised(tmp_path: Path) -> None:
    async with hosting(tmp_path / "f", "exits_mid_request") as scene:
        await fails(scene, "exits_mid_request", HandlerRaised, b"how=sys.exit")


async def test_a_response_that_had_begun_is_cut_not_finished(tmp_path: Path) -> None:
    async with hosting(tmp_path / "f", "exits_mid_request") as scene:
        with pytest.raises(ResponseCut) as caught:
            await scene.call("exits_mid_request", query=b"how=streaming")
        assert isinstance(caught.value.failure, FunctionDied)


async def test_a_flood_of_output_is_counted_not_kept(tmp_path: Path) -> None:
    async with hosting(tmp_path / "f", "prints_flood") as scene:
        assert (await scene.call("prints_flood")).body == b"printed"
        await healthy(scene)
        await scene.host.stop_function("prints_flood")
        await scene.until(Event.FUNCTION_SHUTDOWN, "prints_flood")
        kept = [said["line"] for said in scene.events(Event.FUNCTION_LOG, "prints_flood")]
        dropped = scene.events(Event.FUNCTION_LOG_DROPPED, "prints_flood")
        assert sum(len(line) + 1 for line in kept) + sum(said["bytes"] for said in dropped) == 100_000_000
        assert 0 < sum(len(line) for line in kept) < 50_000_000


async def test_a_flood_is_told_of_also_when_nothing_follows_it(tmp_path: Path) -> None:
    """The lost lines of a function that was silent afterwards were told at its end, days later."""
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "once.py").write_text("def handler():\n    print('x' * 1_000_000)\n    return ''\n")
    async with hosting(folder) as scene:
        await scene.call("once")
        assert await scene.until(Event.FUNCTION_LOG_DROPPED, "once")
        assert not scene.events(Event.FUNCTION_SHUTDOWN, "once")


@pytest.mark.parametrize("kind", ["object", "none", "header", "status", "protocol", "silent", "unjson"])
async def test_an_answer_that_is_none_is_the_functions_error(kind: str, tmp_path: Path) -> None:
    async with hosting(tmp_path / "f", "returns_junk") as scene:
        failure = await fails(scene, "returns_junk", HandlerRaised, b"kind=" + kind.encode())
        assert (failure.status, failure.code) == (500, "EDGE_FUNCTION_ERROR")
        assert not scene.events(Event.FUNCTION_SHUTDOWN)


async def test_a_gigabyte_streams_through_without_being_kept(tmp_path: Path) -> None:
    taken = 0

    async def send(message: dict[str, Any]) -> None:
        nonlocal taken
        taken += len(message.get("body", b""))

    async with hosting(tmp_path / "f", "streams_gigabyte") as scene:
        await healthy(scene)
        before = resident_bytes()
        await scene.call("streams_gigabyte", send=send)
        assert taken == 1024 * 1_048_576
        assert resident_bytes() - before < 50_000_000
        (said,) = scene.events(Event.FUNCTION_BOOTED, "streams_gigabyte")
        assert said["kind"] == "handler"


async def test_an_upload_that_nobody_reads_is_held_back(tmp_path: Path) -> None:
    """The sender is asked for no more than the window, whether the function answers or not."""
    async with hosting(tmp_path / "f", "reads_nothing") as scene:
        receive, asked = gigabyte()
        assert (await scene.call("reads_nothing", method="POST", receive=receive)).body == b"not interested"
        receive, asked = gigabyte()
        waiting = asyncio.create_task(
            scene.call("reads_nothing", method="POST", query=b"wait=1", receive=receive)
        )
        await healthy(scene)
        while len(asked) < 1:
            await healthy(scene)
        for _ in range(20):
            await healthy(scene)
        assert len(asked) <= 2
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_a_thread_that_hangs_does_not_delay_the_exit(tmp_path: Path) -> None:
    async with hosting(tmp_path / "f", "deadlocked_at_exit") as scene:
        assert (await scene.call("deadlocked_at_exit")).body == b"ready to hang"
        await scene.host.stop_function("deadlocked_at_exit")
        (said,) = await scene.until(Event.FUNCTION_SHUTDOWN, "deadlocked_at_exit")
        assert (said["reason"], said["exit"]) == (EndReason.TERMINATION_REQUESTED, "exit 0")


async def test_who_takes_over_the_signals_and_the_exit_is_killed(tmp_path: Path) -> None:
    runtime = RuntimeSettings(grace_s=0.2)
    async with hosting(tmp_path / "f", "patches_signals", runtime=runtime) as scene:
        assert (await scene.call("patches_signals")).body == b"mine"
        await scene.host.stop_function("patches_signals")
        (said,) = await scene.until(Event.FUNCTION_SHUTDOWN, "patches_signals")
        assert (said["reason"], said["exit"]) == (EndReason.TERMINATION_REQUESTED, "signal 9")
        await healthy(scene)


def gigabyte() -> tuple[Callable[[], Any], list[int]]:
    """A sender of a gigabyte, and the megabytes it was asked for."""
    asked: list[int] = []

    async def receive() -> dict[str, Any]:
        asked.append(len(asked))
        return {"type": "http.request", "body": bytes(1_048_576), "more_body": len(asked) < 1024}

    return receive, asked


def resident_bytes() -> int:
    """This process's memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def test_a_stop_iteration_is_an_error_like_any_other(tmp_path: Path) -> None:
    """No future can hold it: the request hung until its response was too late."""
    async with hosting(tmp_path / "f", "stop_iteration") as scene:
        await fails(scene, "stop_iteration", HandlerRaised)
        (said,) = scene.events(Event.FUNCTION_UNCAUGHT, "stop_iteration")
        assert "StopIteration" in said["error"]
