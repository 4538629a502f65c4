"""``[databases]`` and ``[routes]`` of ``postmill.toml``: read and checked. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.model.config import address as addresses
from postmill.model.config.project_file import FILE_NAME, check_table, wrong_type
from postmill.model.databases.databases import Databases, Route
from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postmill.model.config.address import Address

DATABASE_KEYS: Mapping[str, Any] = {"url": str, "listen_url": str}
"""Every key of one database that is written as a table."""
ROUTE_KEYS: Mapping[str, Any] = {"over": list, "shard_by": str}
"""Every key of one route."""


def variable(name: str) -> str:
    """The variable that holds the address of the database ``name``: a password stands in no file then."""
    return f"POSTMILL_DB_URL_{name.upper()}"


def databases(
    table: Mapping[str, Any],
    routes: Mapping[str, Any],
    variables: Mapping[str, str],
    *,
    main: str = "",
    schedules: str = "",
    flows: str = "",
) -> Databases | None:
    """What the two tables say; None without ``[databases]``. An address in ``variables`` comes before the one
    in the file. Raises :class:`InvalidOption` and ``InvalidAddress`` that say what is wrong and where.
    """
    if not table:
        _refuse_alone(routes, main, schedules, flows)
        return None
    return Databases(
        {name: _address(name, entry, variables) for name, entry in table.items()},
        main or next(iter(table)),
        {queue: _route(queue, route) for queue, route in routes.items()},
        schedules,
        flows,
    )


def _address(name: str, entry: Any, variables: Mapping[str, str]) -> Address:
    """Of one database: its address alone, or with one to LISTEN on, where a pooler stands before it."""
    if isinstance(entry, str):
        entry = {"url": entry}
    elif not isinstance(entry, dict):
        raise wrong_type(f"databases.{name}", str)
    check_table(f"databases.{name}", entry, DATABASE_KEYS)
    given = variables.get(variable(name), "")
    url, listen = given or entry.get("url", ""), entry.get("listen_url") or None
    if not url:
        raise InvalidOption(
            f"The database {name} has no address.",
            hint=f"Set {variable(name)}, or write it in [databases] of {FILE_NAME}.",
        )
    if listen:
        addresses.check_listens(listen, f"{FILE_NAME}, [databases] {name}")
    source = variable(name) if given else f"{FILE_NAME}, [databases] {name}"
    return addresses.parse(url, listen_url=listen, source=source)


def _route(queue: str, table: Any) -> Route:
    if not isinstance(table, dict):
        raise wrong_type(f"routes.{queue}", dict)
    check_table(f"routes.{queue}", table, ROUTE_KEYS)
    over = table.get("over", [])
    if not all(isinstance(name, str) for name in over):
        raise wrong_type(f"[routes.{queue}] over", list)
    try:
        return Route(tuple(over), table.get("shard_by"))
    except InvalidOption as error:
        raise InvalidOption(f"Queue {queue}: {error.what}", why=error.why, hint=error.hint) from error


def _refuse_alone(routes: Mapping[str, Any], *names: str) -> None:
    """Without databases nothing can be routed, and none can be chosen by its name."""
    named = next(filter(None, names), None)
    if routes or named:
        raise InvalidOption(
            f"{FILE_NAME} has [routes] and no [databases]."
            if routes
            else f"The database {named!r} is chosen, and {FILE_NAME} has no [databases].",
            hint='Name them: [databases] eu1 = "postgresql://…".',
        )
