"""Uses all the CPU it can get and never gives the event loop a turn."""


async def handler():
    while True:
        pass
