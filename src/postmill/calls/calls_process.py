"""A process whose only job is to make calls: signals in, an end out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from postmill.calls.calls_probe import CallsProbe
from postmill.model.errors import WorkerFailed
from postmill.service.service import new_task
from postmill.service.stop_requests import heard

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.calls.calling import Calling
    from postmill.service.service import Service


async def run(
    make: Callable[[], Calling], on_stop: Callable[[int], None], probe_at: tuple[str, int] | None = None
) -> None:
    """Make calls until a signal asks for the end; a second one cuts what runs. ``on_stop`` is told how many
    calls run at each. ``probe_at``: the host and port of the HTTP probe. Raises :class:`WorkerFailed` when a
    part of it can't be kept alive.
    """
    asked, forced = asyncio.Event(), asyncio.Event()
    calling = make()
    failed: list[Service] = []

    def stop() -> None:
        (forced if asked.is_set() else asked).set()
        on_stop(calling.running)

    def give_up(service: Service) -> None:
        failed.append(service)
        asked.set()

    for service in calling.services:
        service.on_giving_up.append(give_up)
    probe = None if probe_at is None else CallsProbe(calling, *probe_at)
    if probe is not None:
        await probe.start()
    with heard(stop, asked.is_set):
        calling.start()
        try:
            await asked.wait()
        finally:
            await _ended(calling, forced)
            if probe is not None:
                await probe.stop()
    if failed:
        raise WorkerFailed(
            "Calls can't be made any more.", why=failed[0].trouble or "", hint="Start it again."
        )


async def _ended(calling: Calling, forced: asyncio.Event) -> None:
    stopping, forcing = new_task(calling.stop()), new_task(forced.wait())
    await asyncio.wait({stopping, forcing}, return_when=asyncio.FIRST_COMPLETED)
    if not stopping.done():
        calling.force()
    await stopping
    forcing.cancel()
