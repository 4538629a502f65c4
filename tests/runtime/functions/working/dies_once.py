"""A worker that ends its process at the first attempt at a message, and completes it at the second."""

import os

from postmill import Context, worker


@worker(queue="dies_once", max_concurrent=3)
async def dies_once(payload: str, ctx: Context) -> None:
    if ctx.attempt == 1:
        os._exit(5)
