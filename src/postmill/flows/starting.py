"""Starts runs from Python: on a connection of Postmill's own, or in the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from postmill.flows.run import Run
from postmill.handlers.sender import sender

if TYPE_CHECKING:
    import msgspec

    from postmill.flows.runnable import Runnable
    from postmill.flows.start_options import StartOptions

R = TypeVar("R")


async def start(of: Runnable[R], encoded: msgspec.Raw, options: StartOptions) -> Run[R]:
    """Start a run with this input; returns its handle. On the caller's connection the run begins when the
    caller's transaction commits.

    Raises ``KeyConflict``, ``NotFound`` for a flow or version that no program has told this database of,
    ``SchemaMissing``, ``DatabaseUnavailable``.
    """
    async with sender(of.worker_options, options.connection) as client:
        run_id = await client.runs.start(
            of.name,
            encoded,
            key=options.key,
            delay=options.delay_s,
            tags=options.tags,
            deadline=getattr(of, "deadline_s", None) if options.deadline_s is None else options.deadline_s,
            priority=options.priority,
            version=options.version,
        )
    return Run(run_id, of, options.connection)
