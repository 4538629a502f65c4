"""The settings in ``postmill.toml`` now, compared with those that the host was started with."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from postmill.model.config.settings import Settings
    from postmill.model.functions.settings import RuntimeSettings

_FIXED = frozenset({"host", "port", "folder", "preload", "max_body_mb", "jwks"})
"""Keys of ``[runtime]`` that are used once, when the host starts."""
_TABLES = {
    "db_url": "db",
    "listen_url": "db",
    "data_dir": "db",
    "db_settings": "db.settings",
    "log_level": "log",
    "log_format": "log",
}
"""The table of each other setting; all of them are used once."""


class Configuration:
    """The file ``path``, which ``read`` turns into settings: those of the file and the environment alone."""

    def __init__(self, path: Path, read: Callable[[], Settings]) -> None:
        self.path = path
        self._read = read
        self._started_with = self.now = read()

    def read_again(self) -> None:
        """Look at the file again. Raises :class:`InvalidOption` for what it can't say; ``now`` stays then."""
        self.now = self._read()

    def runtime(self, given: RuntimeSettings) -> RuntimeSettings:
        """``given``, with what can be changed while a host runs as the file says it now."""
        fresh = self.now.runtime
        free = [each.name for each in fields(fresh) if each.name not in _FIXED]
        return replace(given, **{name: getattr(fresh, name) for name in free})

    @property
    def waiting(self) -> list[str]:
        """The settings that have changed and need a restart."""
        then, now = self._started_with, self.now
        tables = {table for name, table in _TABLES.items() if getattr(then, name) != getattr(now, name)}
        keys = {name for name in _FIXED if getattr(then.runtime, name) != getattr(now.runtime, name)}
        return [*sorted(f"[{table}]" for table in tables), *sorted(f"[runtime] {key}" for key in keys)]
