"""Which way isolates are started on this platform."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from postmill.host.launch.fork_launcher import ForkLauncher
from postmill.host.launch.spawn_launcher import SpawnLauncher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from postmill.host.launch.launcher import Launcher


def launcher(preload: Sequence[str], on_lost: Callable[[], None]) -> Launcher:
    """The best way on this platform. On macOS a forked process may crash in the
    system's own libraries.
    """
    return ForkLauncher(preload, on_lost) if sys.platform == "linux" else SpawnLauncher()
