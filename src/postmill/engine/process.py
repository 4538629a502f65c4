"""A process whose main job is to run workers: signals in, exit out. One signal drains, a second forces."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from postmill.engine.run import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from postmill.engine.handler import Handler
    from postmill.model.address import Address

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def run_until_stopped(
    handlers: Sequence[Handler], address: Address, *, on_signal: Callable[[int], None] | None = None
) -> None:
    """Run ``handlers`` until SIGINT, SIGTERM or an operator's deprecation; a second signal cuts the grace
    short.

    ``on_signal`` is told how many messages still run when the first signal comes.
    """
    engine = Engine(handlers, address)
    asked = asyncio.Event()
    reason = "shutdown"

    def stop() -> None:
        if asked.is_set():
            engine.force()
        asked.set()
        if on_signal is not None:
            on_signal(engine.running)

    with _signals(stop):
        starting = asyncio.create_task(engine.start())
        wanted = asyncio.create_task(asked.wait())
        await asyncio.wait({starting, wanted}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done() and not starting.cancelled() and starting.exception() is None:
            deprecated = asyncio.create_task(engine.wait_deprecated())
            await asyncio.wait({deprecated, wanted}, return_when=asyncio.FIRST_COMPLETED)
            if not asked.is_set():
                reason = "deprecated"
            deprecated.cancel()
        elif not starting.done():
            starting.cancel()
        wanted.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        await engine.stop(reason)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run ``main`` on the fastest event loop there is here."""
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        asyncio.run(main)
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main)


class _signals:  # noqa: N801 - used as a statement
    """Call ``action`` for each signal while the block runs. In a thread other than the main one signals can't
    be had.
    """

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._loop = asyncio.get_running_loop()
        self._set: list[int] = []

    def __enter__(self) -> None:
        for number in _SIGNALS:
            with suppress(ValueError, RuntimeError, NotImplementedError):
                self._loop.add_signal_handler(number, self._action)
                self._set.append(number)

    def __exit__(self, *_: object) -> None:
        if sys.is_finalizing():
            return
        for number in self._set:
            self._loop.remove_signal_handler(number)
