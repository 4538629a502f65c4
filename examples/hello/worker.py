"""Says hello to the name in each message."""

from __future__ import annotations

from postmill import Context, worker


@worker(queue="hello")
async def hello(payload: dict[str, str], ctx: Context) -> None:
    """Greet ``payload["name"]``; a message without a name is retried, then a dead letter."""
    ctx.log.info("hello, %s", payload["name"])
