"""The handlers of fault tests. Each leaves a row in ``runs`` when it begins, on a connection of its own: what
ran, how often and where, whatever becomes of the message.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

from postmill import Context, Dead, Retry, Worker
from postmill.model.queue.worker_options import options_from

if TYPE_CHECKING:
    from collections.abc import Callable

TABLES = """
create table runs (msg_id bigint not null, attempt integer not null, pid integer not null);
create table effects (msg_id bigint not null);
"""
"""What handlers write to. ``effects`` is written in the transaction that completes the message."""

stoppable = False
"""In a process that may be stopped: messages that say so stop it in their first attempt's handler."""


async def plain(payload: dict[str, Any], ctx: Context) -> None:
    """Run, and end as the payload says: its first attempt may fail, or be its last."""
    await note_run(ctx, [ctx.message.msg_id])
    _stop_if_told(payload)
    _exit_if_told(payload)
    if stoppable and payload.get("hang"):
        await asyncio.Event().wait()
    _end(payload, ctx)


async def batch(payloads: list[dict[str, Any]], ctx: Context) -> None:
    """The same for several messages at once; the first payload says what becomes of all."""
    await note_run(ctx, [payload["id"] for payload in payloads])
    _stop_if_told(payloads[0])
    _end(payloads[0], ctx)


async def transaction(payload: dict[str, Any], ctx: Context) -> None:
    """Complete the message in a transaction of its own."""
    await note_run(ctx, [ctx.message.msg_id])
    async with ctx.transaction() as tx:
        await tx.execute("insert into effects values ($1)", ctx.message.msg_id)
        _stop_if_told(payload)


async def fast(payload: dict[str, Any], ctx: Context) -> None:
    """Be done at once; every tenth asks the database first."""
    if payload["id"] % 10 == 0:
        async with ctx.db as connection:
            await connection.fetchval("select $1::bigint", payload["id"])


class WaitingHandler:
    """A handler that waits until it is released."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.waiting = 0

    async def __call__(self, payload: dict[str, Any], ctx: Context) -> None:
        """Run until the release."""
        await note_run(ctx, [ctx.message.msg_id])
        self.waiting += 1
        await self.released.wait()

    async def until_waiting(self, count: int) -> None:
        """Until so many calls wait, and use no connection."""
        while self.waiting < count:  # noqa: ASYNC110 - a test's own few turns of the loop
            await asyncio.sleep(0.01)


def handler(kind: str | Callable[..., Any] = "plain", **options: Any) -> Worker:
    """A function, or the handler of that name, as a worker: one slot, so that every step has one place, and
    leases that never end during a test, unless ``options`` say otherwise.
    """
    functions: dict[str, Callable[..., Any]] = {
        "plain": plain,
        "batch": batch,
        "transaction": transaction,
        "fast": fast,
    }
    defaults = {"max_concurrent": 1, "visibility_timeout": 60, "retry": Retry.fixed(0, 5)}
    return Worker(options_from({**defaults, **options}), functions[kind] if isinstance(kind, str) else kind)


async def note_run(ctx: Context, ids: list[int]) -> None:
    """Leave a row for each message that begins to run."""
    async with ctx.db as connection:
        await connection.executemany(
            "insert into runs values ($1, $2, $3)", [(msg_id, ctx.attempt, os.getpid()) for msg_id in ids]
        )


def _stop_if_told(payload: dict[str, Any]) -> None:
    if stoppable and payload.get("stop"):
        os.kill(os.getpid(), signal.SIGSTOP)


def _exit_if_told(payload: dict[str, Any]) -> None:
    if stoppable and "exit" in payload:
        os._exit(payload["exit"])


def _end(payload: dict[str, Any], ctx: Context) -> None:
    if ctx.attempt == 1 and payload.get("outcome") == "retry":
        raise RuntimeError("not the first time")
    if payload.get("outcome") == "dead":
        raise Dead("as told")
