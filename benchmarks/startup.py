"""CPU time of ``postmill --help`` on a warm cache: the bar is 100 ms. Prints one JSON object.

Run as ``python benchmarks/startup.py``. User and system time of the child, the median of many runs: wall time would
measure the machine's other work.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys

RUNS = 21
BAR_MS = 100.0
MODULE = ("-m", "postmill.cli.main")


def cpu_ms(command: list[str]) -> float:
    """User plus system time of one run of ``command``, in milliseconds."""
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return 1000 * (
        after.children_user - before.children_user + after.children_system - before.children_system
    )


def median_ms(*arguments: str) -> float:
    """The median of :data:`RUNS` runs of this Python with ``arguments``, after one to warm the cache."""
    command = [sys.executable, *arguments]
    cpu_ms(command)
    return statistics.median(cpu_ms(command) for _ in range(RUNS))


def main() -> None:
    """Measures and prints."""
    value = median_ms(*MODULE, "--help")
    bare = median_ms("-c", "pass")
    print(
        json.dumps(
            {
                "bench": "startup",
                "value": round(value, 1),
                "unit": "ms of CPU",
                "reference": {"name": "python -c pass", "value": round(bare, 1)},
                "ratio": round(value / bare, 2),
                "settings": {"runs": RUNS, "bar": BAR_MS, "met": value < BAR_MS},
                "environment": {"python": platform.python_version(), "cpus": os.cpu_count()},
            }
        )
    )


if __name__ == "__main__":
    main()
