"""Prints, logs and warns."""

import logging
import sys


async def handler():
    print("printed")
    print("to stderr", file=sys.stderr)
    logging.getLogger("mine").warning("careful")
    return "said"
