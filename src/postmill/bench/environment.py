"""The machine that a benchmark ran on: its figures mean little without this."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.bench.arena import Connection


async def environment(connection: Connection) -> dict[str, object]:
    """The machine, the versions, the server's settings and how busy the machine was before the run."""
    return {
        "cpus": os.cpu_count(),
        "machine": f"{platform.system()} {platform.machine()}",
        "load_1m": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        **{name: version(name) for name in ("postmill", "asyncpg", "psycopg", "orjson")},
        "server": {row["name"]: row["value"] for row in await connection.fetch(statement("bench_server"))},
    }
