"""The settings that the server starts with: Postmill's, then the user's. Pure.

A user can't turn durability off: only a throw-away server runs without fsync.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LAPTOP: Mapping[str, str] = {
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "max_connections": "100",
    "random_page_cost": "1.1",
    "log_checkpoints": "off",
    "log_timezone": "UTC",
}
THROW_AWAY: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_wal_senders": "0",
    "wal_level": "minimal",
}
OURS = (
    "config_file",
    "data_directory",
    "hba_file",
    "ident_file",
    "listen_addresses",
    "port",
    "unix_socket_directories",
    "unix_socket_group",
    "unix_socket_permissions",
)
DURABILITY = ("fsync", "synchronous_commit", "full_page_writes")


def check(settings: Mapping[str, str], *, throwaway: bool) -> None:
    """Raises ``InvalidOption`` for a setting the supervisor needs for itself, or that gives up durability."""
    for name, value in settings.items():
        if name.lower() in OURS:
            raise InvalidOption(
                f"The embedded server's setting {name!r} can't be changed.",
                why="Postmill sets it, to find and protect the server.",
                hint="Remove it from [db.settings].",
            )
        if (
            name.lower() in DURABILITY
            and not throwaway
            and str(value).lower() not in {"on", "true", "yes", "1"}
        ):
            raise InvalidOption(
                f"The embedded server's setting {name!r} can't be {value!r}.",
                why="A crash could lose or corrupt queued work; only throw-away servers may risk that.",
                hint="Remove it from [db.settings], or use a Postgres of your own with POSTMILL_DB_URL.",
            )


def complete(
    settings: Mapping[str, str], sockets: Path, port: int, *, throwaway: bool, tcp: bool
) -> dict[str, str]:
    """Every ``-c`` setting of the server. A user's size takes the place of Postmill's."""
    return {
        **LAPTOP,
        **(THROW_AWAY if throwaway else {}),
        **settings,
        "listen_addresses": "127.0.0.1" if tcp else "",
        "port": str(port),
        "unix_socket_directories": quoted(sockets),
        "unix_socket_permissions": "0700",
        "cluster_name": "postmill",
    }


def quoted(folder: Path) -> str:
    """The folder as one element of Postgres's list syntax."""
    return '"' + str(folder).replace('"', '""') + '"'
