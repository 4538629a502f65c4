"""The handler of ``benchmarks.many_workers``."""

from __future__ import annotations

from postmill import worker


@worker(queue="many", on_success="delete")
async def nothing(_: object) -> None:
    """Do nothing."""
