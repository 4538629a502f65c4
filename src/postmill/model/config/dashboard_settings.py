"""``[dashboard]`` of ``postmill.toml``: where the dashboard is served, and under which names. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from postmill.model.config.project_file import check_table, wrong_type
from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Mapping

DASHBOARD_KEYS: Mapping[str, Any] = {
    "serve": bool,
    "host": str,
    "port": int,
    "hosts": list,
    "read_only": bool,
    "redact": list,
}
PORT = 54320
"""Where the dashboard is looked for when nothing is said. One below the port of functions, 54321: people who
know that one find it.
"""


@dataclass(frozen=True, slots=True)
class DashboardSettings:
    """``[dashboard]``."""

    serve: bool = True
    """Whether ``serve`` and ``dev`` serve it."""
    host: str = "127.0.0.1"
    port: int | None = None
    """None: 54320, or a free one when that is taken; 0: a free one."""
    hosts: tuple[str, ...] = ()
    """Names under which it is reached, beside addresses and ``localhost``."""
    read_only: bool = False
    """Whether it only shows, and changes nothing."""
    redact: tuple[str, ...] = ()
    """Names before secrets, beside those that are known."""

    def __post_init__(self) -> None:
        if self.port is not None and not 0 <= self.port <= 65_535:
            raise InvalidOption(
                f"[dashboard] port can't be {self.port}.", why="A port is a number from 0 to 65535."
            )


def dashboard_settings(table: Mapping[str, Any]) -> DashboardSettings:
    """From the table. Raises :class:`InvalidOption` naming the key, with the nearest known one."""
    check_table("dashboard", table, DASHBOARD_KEYS)
    lists = {name: tuple(table.get(name, ())) for name in ("hosts", "redact")}
    for name, given in lists.items():
        if not all(isinstance(each, str) for each in given):
            raise wrong_type(f"[dashboard] {name}", list)
    return DashboardSettings(**{**table, **lists})
