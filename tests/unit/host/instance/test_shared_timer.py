"""One timer for many that mostly leave before it is due."""

from __future__ import annotations

import asyncio

from postmill.host.instance.relay import SharedTimer


async def test_who_stays_is_called_once_and_who_leaves_is_not() -> None:
    timer = SharedTimer(0.01)
    called: list[str] = []
    rang = asyncio.Event()

    def leaver() -> None:
        called.append("left at once")

    def late_leaver() -> None:
        called.append("left in the second period")

    def stayer() -> None:
        called.append("stayed")
        rang.set()

    for action in (leaver, late_leaver, stayer):
        timer.add(action)
    timer.leave(leaver)
    asyncio.get_running_loop().call_later(0.015, timer.leave, late_leaver)
    async with asyncio.timeout(30):
        await rang.wait()
    timer.leave(stayer)
    timer.leave(stayer)
    rang.clear()
    timer.add(stayer)
    async with asyncio.timeout(30):
        await rang.wait()
    assert called == ["stayed", "stayed"]
