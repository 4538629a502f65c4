"""A worker that never returns from its first message."""

from pathlib import Path

from postmill import worker

BEEN = Path(__file__).parent / "_been"


@worker(queue="spins_once")
async def spins_once(payload):
    if not BEEN.exists():
        BEEN.touch()
        while True:
            pass
