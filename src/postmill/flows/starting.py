"""Starts runs from Python: on a connection of Postmill's own, or in the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from postmill.client.awaited import can_not_write
from postmill.flows.run import Run
from postmill.flows.running.registration import registration
from postmill.handlers.sender import sender
from postmill.model.errors import NotFound, PostmillError

if TYPE_CHECKING:
    import msgspec

    from postmill.client import AsyncClient
    from postmill.flows.runnable import Runnable
    from postmill.flows.start_options import StartOptions

R = TypeVar("R")


async def start(of: Runnable[R], encoded: msgspec.Raw, options: StartOptions) -> Run[R]:
    """Start a run with this input; returns its handle. On the caller's connection the run begins when the
    caller's transaction commits.

    A flow that this database was not told of yet is registered, unless the caller's transaction is open or
    the caller may not do that. Raises ``KeyConflict``, ``NotFound`` for a flow or version that is not there,
    ``SchemaMissing``, ``DatabaseUnavailable``.
    """
    async with sender(of.worker_options, options.connection) as client:
        try:
            run_id = await _started(client, of, encoded, options)
        except NotFound as missing:
            if options.version is not None or not client.runs.executor.commits:
                raise
            await _register(client, of, missing)
            run_id = await _started(client, of, encoded, options)
    return Run(run_id, of, options.connection)


async def _started(
    client: AsyncClient, of: Runnable[Any], encoded: msgspec.Raw, options: StartOptions
) -> int:
    return await client.runs.start(
        of.name,
        encoded,
        key=options.key,
        delay=options.delay_s,
        tags=options.tags,
        deadline=options.deadline_s,
        priority=options.priority,
        version=options.version,
    )


async def _register(client: AsyncClient, of: Runnable[Any], missing: NotFound) -> None:
    """Tell the database of the flow, as a worker does. Raises ``missing`` where the caller may not."""
    try:
        await client.runs.executor.run(iter([registration(of)]))
    except PostmillError as error:
        if can_not_write(error):
            raise missing from error
        raise
