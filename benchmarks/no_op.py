"""Handlers that do nothing, for benchmarks of what is around them."""

from __future__ import annotations

from postmill import worker


@worker(queue="many", on_success="delete")
async def nothing(_: object) -> None:
    """Do nothing."""


def echo(payload: object) -> object:
    """The handler of ``benchmarks.ray``: give back what is given."""
    return payload
