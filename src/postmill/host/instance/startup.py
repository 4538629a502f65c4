"""The start of one isolate: its first order, and whether it has become ready.

Knows no process. A failure is logged here once, and raised to every task that waits.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from postmill.model.errors import InvalidOption
from postmill.model.events import Event
from postmill.model.functions.failures import BootFailed
from postmill.model.functions.limits import MEBIBYTE, EndReason
from postmill.model.option_rules import value_fault
from postmill.wire.frames import Boot, Booted, Kind, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from postmill.host.discovery import Source
    from postmill.wire.frames import Account

FOREVER_S = 86_400.0
"""The grace of an isolate without a wall clock limit, in seconds: a day, longer than any message runs."""


class Startup:
    """``say`` writes an event of this isolate into the log. ``told``: the failures whose traceback is there
    already, since a function that does not start is tried again and again.
    """

    def __init__(self, say: Callable[..., None], told: set[str]) -> None:
        self._say = say
        self._told = told
        self._booted: asyncio.Future[Booted] = asyncio.get_running_loop().create_future()

    @property
    def succeeded(self) -> bool:
        """Whether the isolate was ready to serve."""
        return self._booted.done() and self._booted.exception() is None

    async def kind(self) -> str:
        """What the function is, once it is ready to serve. Raises :class:`BootFailed`."""
        return (await asyncio.shield(self._booted)).kind

    async def until_decided(self) -> None:
        """Until it is ready to serve, or has failed."""
        await asyncio.wait({self._booted})

    def heard(self, kind: int, payload: bytes) -> None:
        """The isolate said that it is ready, or why it is not."""
        if self._booted.done():
            return
        if kind == Kind.BOOTED:
            self._booted.set_result(msgspec.msgpack.decode(payload, type=Booted))
        else:
            trouble = msgspec.msgpack.decode(payload, type=Trouble)
            self.fail(trouble.summary, trouble.traceback)

    def fail(self, why: str, traceback: str = "") -> None:
        """The isolate will not become ready. Does nothing when the start is decided already."""
        if self._booted.done():
            return
        self._say(Event.FUNCTION_BOOT_FAILED, error=why, traceback="" if why in self._told else traceback)
        self._told.add(why)
        failure = BootFailed("The function could not be started.", reason=EndReason.STARTUP_FAILURE, why=why)
        self._booted.set_exception(failure)
        self._booted.exception()  # retrieved, also when no task waits for it any more


def boot_of(
    source: Source,
    folder: Path,
    environment: Mapping[str, str],
    account: Account | None,
    execution_id: str,
) -> Boot:
    """The isolate's first order. Raises :class:`InvalidOption` for a variable that no environment can
    hold.
    """
    settings, limits = source.settings, source.settings.limits
    variables = {**environment, **settings.env, "SB_EXECUTION_ID": execution_id}
    for name, value in variables.items():
        _check_variable(name, value)
    return Boot(
        slug=settings.slug,
        path=str(source.path),
        folder=str(folder),
        execution_id=execution_id,
        env=variables,
        memory_bytes=int(limits.memory_mb * MEBIBYTE),
        cpu_s=0.0 if settings.policy == "per_request" else limits.cpu_hard_s,
        grace_s=limits.wall_clock_s or FOREVER_S,
        threads=settings.threads,
        concurrency=settings.at_a_time,
        account=account,
    )


def _check_variable(name: str, value: str) -> None:
    fault = value_fault(name) or value_fault(value)  # other programs give odder names than ours may have
    if fault or not name or "=" in name:
        raise InvalidOption(
            f"The variable {name!a} can't be in an environment.",
            why=f"It {fault}." if fault else "Its name is empty, or has an = in it.",
            hint="Set it again; bytes can be given as Base64.",
        )
