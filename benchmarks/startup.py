"""CPU time of ``postmill --help`` on a warm cache: the bar is 100 ms. Prints one JSON object.

Run as ``python benchmarks/startup.py``. User and system time of the child, the median of many runs: wall time
would measure the machine's other work.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys

RUNS = 31
BAR_MS = 100.0
HELP = ("-m", "postmill.cli.main", "--help")


def cpu_ms(command: list[str]) -> float:
    """User plus system time of one run of ``command``, in milliseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def samples_ms(*arguments: str) -> list[float]:
    """Sorted CPU times of :data:`RUNS` runs of this Python with ``arguments``, after one that warms up."""
    command = [sys.executable, *arguments]
    cpu_ms(command)
    return sorted(cpu_ms(command) for _ in range(RUNS))


def main() -> None:
    """Measures and prints."""
    measured, bare = samples_ms(*HELP), samples_ms("-c", "pass")
    value, reference = statistics.median(measured), statistics.median(bare)
    print(
        json.dumps(
            {
                "bench": "startup",
                "value": round(value, 1),
                "best": round(measured[0], 1),
                "unit": "ms of CPU",
                "reference": {"name": "python -c pass", "value": round(reference, 1)},
                "ratio": round(value / reference, 2),
                "settings": {"runs": RUNS, "bar": BAR_MS, "met": value < BAR_MS},
                "environment": {
                    "python": platform.python_version(),
                    "cpus": os.cpu_count(),
                    "load_1m": round(os.getloadavg()[0], 1),
                },
            }
        )
    )


if __name__ == "__main__":
    main()
