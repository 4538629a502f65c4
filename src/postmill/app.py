"""The composition root: from settings to running workers. It wires; it decides nothing that a part below
could decide.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from postmill.db.project import (
    bare_connection,
    connection,
    database,
    ensure_schema,
    find_project,
    load_settings,
    prepare,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from postmill.model.settings import Settings

__all__ = [
    "bare_connection",
    "connection",
    "database",
    "ensure_schema",
    "find_project",
    "load_settings",
    "prepare",
    "run_workers",
]


def run_workers(
    settings: Settings,
    targets: Sequence[str],
    *,
    on_drain: Callable[[Callable[[], int]], None] | None = None,
    probe: tuple[str, int] | None = None,
) -> None:
    """Run the workers named ``module:name`` in this process until it is told to stop.

    The working folder is importable, as with ``python -m``. ``on_drain`` is told how many messages still run:
    at each request to stop, and every second until none does. ``probe`` is the host and port of the HTTP
    probe. Raises ``InvalidHandler`` for a bad target, and what :func:`connection` raises.
    """
    from postmill.handlers import load  # noqa: PLC0415 - settings alone need no engine
    from postmill.handlers.standalone import run_here  # noqa: PLC0415

    sys.path[:0] = [folder for folder in (str(Path.cwd()),) if folder not in sys.path]
    run_here([load(target) for target in targets], settings, on_drain=on_drain, probe=probe)
