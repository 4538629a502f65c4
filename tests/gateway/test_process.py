"""The end of a process that serves, when its beginning has no end."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from postmill.cli.exit_codes import Exit, exit_code
from postmill.gateway.readiness import Readiness
from postmill.gateway.serving_process import ServingProcess
from postmill.model.errors import HostFailed


class Stands:
    """A part that can be started and stopped, and does nothing."""

    def __init__(self) -> None:
        self.ends: list[float | None] = []

    async def start(self, *_: object, **__: object) -> None:
        """At once."""

    async def stop(self, grace_s: float | None = None) -> None:
        """At once."""
        self.ends.append(grace_s)

    def stop_accepting(self) -> None:
        """There is no port."""

    async def close(self) -> None:
        """There is no connection."""


class Hangs(Stands):
    """Never gets to its start."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()

    async def start(self, *_: object, **__: object) -> None:
        """Never done."""
        self.begun.set()
        await asyncio.Event().wait()


async def test_a_second_request_to_stop_ends_a_start_that_hangs() -> None:
    said: list[bool] = []
    host: Any = Hangs()
    other: Any = Stands()
    process = ServingProcess(
        host,
        other,
        other,
        other,
        Readiness(),
        grace_s=1000,
        reload=False,
        start_all=True,
        on_listening=lambda: None,
        on_stop=said.append,
    )
    running = asyncio.create_task(process.run())
    await host.begun.wait()
    process.stop()
    process.stop()
    await running
    assert said == [False, True]
    assert host.ends[-1] == 0


async def test_a_host_that_can_not_go_on_ends_its_process_with_an_error() -> None:
    """A part of it had failed for good; only the readiness probe knew, and where none is asked it went on."""
    host: Any = Stands()
    other: Any = Stands()
    listening = asyncio.Event()
    process = ServingProcess(
        host,
        other,
        other,
        other,
        Readiness(),
        grace_s=1000,
        reload=False,
        start_all=False,
        on_listening=listening.set,
        on_stop=lambda _: None,
    )
    running = asyncio.create_task(process.run())
    await listening.wait()
    broken: Any = SimpleNamespace(trouble="the supervisor has failed for good: OSError: no file is left")
    process.can_not_go_on(broken)
    with pytest.raises(HostFailed) as caught:
        await running
    assert "no file is left" in caught.value.why
    assert host.ends == [1000]
    assert exit_code(caught.value) == Exit.FAILED
