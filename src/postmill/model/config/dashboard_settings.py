"""``[dashboard]`` of ``postmill.toml``: where the dashboard is served, and under which names. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from postmill.model.config.project_file import check_table, wrong_type
from postmill.model.errors import InvalidOption
from postmill.model.queue.trace import PLACE

if TYPE_CHECKING:
    from collections.abc import Mapping

DASHBOARD_KEYS: Mapping[str, Any] = {
    "serve": bool,
    "host": str,
    "port": int,
    "hosts": list,
    "read_only": bool,
    "redact": list,
    "prefix": str,
    "trace_url": str,
}
_PREFIX = re.compile(r"(?:/[A-Za-z0-9_.~-]+)+")
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
    prefix: str = ""
    """The path below which a proxy shows it, without a slash at its end."""
    trace_url: str | None = None
    """Where a trace is shown: an address with ``{trace_id}`` in it. None: nowhere."""

    def __post_init__(self) -> None:
        if self.prefix and not _PREFIX.fullmatch(self.prefix):
            raise InvalidOption(
                f"[dashboard] prefix can't be {self.prefix!r}.",
                why="It is a path of letters, digits, - _ . ~ and /, and begins with a slash.",
                hint='For example "/jobs".',
            )
        if self.trace_url is not None and not _is_template(self.trace_url):
            raise InvalidOption(
                f"[dashboard] trace_url can't be {self.trace_url!r}.",
                why=f"It is an address of http or https with {PLACE} in it once, and no other braces.",
                hint=f'For example "https://jaeger.example.com/trace/{PLACE}".',
            )
        if self.port is not None and not 0 <= self.port <= 65_535:
            raise InvalidOption(
                f"[dashboard] port can't be {self.port}.", why="A port is a number from 0 to 65535."
            )


def _is_template(url: str) -> bool:
    filled = url.replace(PLACE, "0", 1)
    return (
        PLACE in url
        and url.startswith(("https://", "http://"))
        and filled.isascii()
        and filled.isprintable()
        and not {" ", "{", "}", '"', "<", ">"} & set(filled)
    )


def dashboard_settings(table: Mapping[str, Any]) -> DashboardSettings:
    """From the table. Raises :class:`InvalidOption` naming the key, with the nearest known one."""
    check_table("dashboard", table, DASHBOARD_KEYS)
    lists = {name: tuple(table.get(name, ())) for name in ("hosts", "redact")}
    for name, given in lists.items():
        if not all(isinstance(each, str) for each in given):
            raise wrong_type(f"[dashboard] {name}", list)
    prefix = table.get("prefix", "").removesuffix("/")
    return DashboardSettings(**{**table, **lists, "prefix": prefix})
