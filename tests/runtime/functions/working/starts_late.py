"""Can't be imported before a file is there."""

from pathlib import Path

from postmill import worker

if not (Path(__file__).parent / "_there").exists():
    raise RuntimeError("not yet")


@worker(queue="starts_late")
async def starts_late(payload):
    pass
