"""Takes as much processor time as other processes would, for ``bench dashboard``: beside the drain that
nobody watches, in the place of the people who are a process on the same machine, and are not in real life.

Its argument is the share of one processor. Ends when its standard input ends.
"""

from __future__ import annotations

import select
import sys
import time

TURN_S = 0.01
"""Seconds between two turns. A hundredth: the people who watch are woken as often, when all are told."""


def main() -> None:
    """Work until what was had is the share of the time that has passed, rest, and so on."""
    share, began, used = float(sys.argv[1]), time.monotonic(), time.process_time()
    while not select.select([sys.stdin], [], [], TURN_S)[0]:
        until = used + share * (time.monotonic() - began)
        while time.process_time() < until:
            pass


if __name__ == "__main__":
    main()
