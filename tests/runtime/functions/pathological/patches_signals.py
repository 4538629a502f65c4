"""Takes the signals, the exit and the process group into its own hands."""

import os
import signal
import sys

from postmill import on_unload


def nothing(*args):
    """Whatever it is, no."""


for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, nothing)
signal.signal = nothing
sys.exit = nothing
os._exit = nothing


@on_unload
def never():
    while True:
        pass


async def handler():
    return "mine"
