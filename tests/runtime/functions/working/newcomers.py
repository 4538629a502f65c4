"""Names what was imported after this file."""

import sys

BEFORE = set(sys.modules)


async def handler():
    return sorted(set(sys.modules) - BEFORE)
