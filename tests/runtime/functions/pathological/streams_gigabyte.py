"""Answers with a gigabyte, a megabyte at a time."""

from starlette.responses import StreamingResponse

PIECE = b"x" * 1_048_576


async def handler():
    async def body():
        for _ in range(1024):
            yield PIECE

    return StreamingResponse(body())
