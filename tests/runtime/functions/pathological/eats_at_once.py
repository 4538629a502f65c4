"""Asks for more memory than the machine has."""


async def handler():
    return str(len(bytearray(1 << 44)))
