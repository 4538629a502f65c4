"""A sender in a process of its own, for ``bench latency`` and ``bench priority``: an application beside a
worker.

Reads its task from standard input (the address may hold a password, so it is no argument) as one line of
JSON: an address, a queue, how many messages, the seconds before each, and their headers. Prints a line for
each message: when its COMMIT was sent and when the server had confirmed it, by ``perf_counter``, which all
processes of a machine share.
"""

from __future__ import annotations

import json
import sys
import time

from postmill.client import Client
from postmill.db.tools.connect import connect
from postmill.model.config.address import parse


def main() -> None:
    """Send one message after the other."""
    task = json.loads(sys.stdin.readline())
    with connect(parse(task["url"])) as connection:
        client = Client(connection)
        for number in range(task["messages"]):
            time.sleep(task["period_s"])
            with connection.transaction():
                client.send(task["queue"], number, headers=task["headers"])
                committing = time.perf_counter()
            print(json.dumps([committing, time.perf_counter()]), flush=True)


if __name__ == "__main__":
    main()
