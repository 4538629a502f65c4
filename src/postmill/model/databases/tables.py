"""``[databases]`` and ``[routes]`` of ``postmill.toml``: read and checked. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.model.config import address as addresses
from postmill.model.config.project_file import FILE_NAME, check_table, wrong_type
from postmill.model.databases.databases import Databases, Route
from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    found = {}
    for name, url in table.items():
        if not isinstance(url, str):
            raise wrong_type(f"databases.{name}", str)
        given = variables.get(variable(name), "")
        if not (given or url):
            raise InvalidOption(
                f"The database {name} has no address.",
                hint=f"Set {variable(name)}, or write it in [databases] of {FILE_NAME}.",
            )
        source = variable(name) if given else f"{FILE_NAME}, [databases] {name}"
        found[name] = addresses.parse(given or url, source=source)
    return Databases(
        found,
        main or next(iter(found)),
        {queue: _route(queue, route) for queue, route in routes.items()},
        schedules,
        flows,
    )


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
