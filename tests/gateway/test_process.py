"""The end of a process that serves, when its beginning has no end."""

from __future__ import annotations

import asyncio
from typing import Any

from postmill.gateway.process import ServingProcess
from postmill.gateway.readiness import Readiness


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
