"""What a project has configured: options, then environment, then its ``.env``, then ``postmill.toml``, then
defaults.

Pure: the caller reads the environment and the files and passes them in. Nothing here opens, connects or
creates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postmill.model.calls.address_guard import AddressGuard, guard_of
from postmill.model.config import address
from postmill.model.config.dashboard_settings import DashboardSettings, dashboard_settings
from postmill.model.config.project_file import FILE_NAME, check_table, unknown_name, wrong_type
from postmill.model.databases.tables import databases
from postmill.model.errors import InvalidOption
from postmill.model.functions.settings import FunctionSettings, RuntimeSettings
from postmill.model.functions.tables import function_settings, runtime_settings
from postmill.model.option_rules import not_a_choice

if TYPE_CHECKING:
    from postmill.model.databases.databases import Databases

STATE_FOLDER = ".postmill"
"""What a project keeps beside it: the embedded server, keys, secrets, logs."""
ENV_FILE = ".env"
"""The file beside ``postmill.toml`` in which a variable of :data:`ENVIRONMENT` may stand."""
EMBEDDED = "embedded"
"""The ``source`` of the address when none was given: the project's own Postgres."""

LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")
SWITCH = ("on", "off")

TOML_KEYS: Mapping[str, Mapping[str, type]] = {
    "db": {"url": str, "listen_url": str, "data": str, "settings": dict, "database": str},
    "log": {"level": str, "format": str},
    "schedules": {"fire": bool, "database": str},
    "flows": {"database": str},
    "calls": {"make": bool, "addresses": str, "functions_url": str},
}
"""Every key of ``postmill.toml`` by table, with its type. ``[db.settings]`` holds Postgres's own names."""

ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    "db_url": ("POSTMILL_DB_URL", "EDGE_WORKER_DB_URL", "DATABASE_URL"),
    "listen_url": ("POSTMILL_LISTEN_URL",),
    "data": ("POSTMILL_DATA",),
    "database": ("POSTMILL_DATABASE",),
    "log_level": ("POSTMILL_LOG_LEVEL", "EDGE_WORKER_LOG_LEVEL"),
    "log_format": ("POSTMILL_LOG_FORMAT",),
    "schedules": ("POSTMILL_SCHEDULES",),
    "calls": ("POSTMILL_CALLS",),
    "call_addresses": ("POSTMILL_CALL_ADDRESSES",),
    "functions_url": ("POSTMILL_FUNCTIONS_URL",),
    "dashboard": ("POSTMILL_DASHBOARD",),
    "redact": ("POSTMILL_REDACT",),
}
"""The variables of each setting, first found wins. An empty variable counts as unset."""

OTHER_TABLES = ("runtime", "functions", "dashboard", "databases", "routes")
"""Tables that are read elsewhere: by ``model.functions.tables``, ``dashboard_settings`` and
``model.databases.tables``.
"""

_RIVALS = ("POSTMILL_DB_URL", FILE_NAME)
"""Where an address was meant for Postmill, so that it can't stand beside several."""

_IN_TOML: Mapping[str, tuple[str, str]] = {
    "db_url": ("db", "url"),
    "listen_url": ("db", "listen_url"),
    "data": ("db", "data"),
    "log_level": ("log", "level"),
    "log_format": ("log", "format"),
    "schedules": ("schedules", "fire"),
    "calls": ("calls", "make"),
    "call_addresses": ("calls", "addresses"),
    "functions_url": ("calls", "functions_url"),
    "dashboard": ("dashboard", "serve"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """One project's configuration, validated. Its ``repr`` shows no address."""

    project_dir: Path
    data_dir: Path
    """Where the embedded Postgres keeps its data; used only when ``db_url`` is None."""
    db_url: str | None = field(default=None, repr=False)
    """The database's address as it was given; None means the embedded Postgres."""
    listen_url: str | None = field(default=None, repr=False)
    db_settings: Mapping[str, str] = field(default_factory=dict)
    """Postgres settings of the embedded server."""
    log_level: str = "info"
    log_format: str = "text"
    fires_schedules: bool = True
    """Whether processes of the project fire schedules."""
    makes_calls: bool = True
    """Whether ``serve`` and ``dev`` make calls."""
    call_addresses: AddressGuard | None = None
    """Where calls may go; None: nothing was said."""
    functions_url: str | None = None
    """Where call queues find the project's functions; None: where the project serves them."""
    names_data: bool = False
    """Whether a folder for the embedded Postgres was named."""
    source: str = EMBEDDED
    """Where the database's address came from: an option, a variable, ``postmill.toml`` or ``embedded``."""
    runtime: RuntimeSettings = RuntimeSettings()  # noqa: RUF009 - frozen
    functions: Mapping[str, FunctionSettings] = field(default_factory=dict)
    """Functions that have a table of their own, by slug."""
    dashboard: DashboardSettings = DashboardSettings()  # noqa: RUF009 - frozen
    databases: Databases | None = None
    """The project's databases by name; None: it has one, at ``db_url``."""
    database: str | None = None
    """The name of the one at ``db_url``."""
    is_chosen: bool = False
    """Whether that name was asked for: then a command looks there only, and workers work there only."""

    def at(self, name: str) -> Settings:
        """The same settings, with the database of that name as the one that is looked at."""
        assert self.databases is not None  # noqa: S101
        where = self.databases.addresses[self.databases.check(name)]
        return replace(self, database=name, db_url=where.url, source=where.source)

    @property
    def is_embedded(self) -> bool:
        """Whether the project's own Postgres is used."""
        return self.db_url is None

    @property
    def functions_dir(self) -> Path:
        """The folder of functions."""
        return self.project_dir / self.runtime.folder

    @property
    def address(self) -> address.Address | None:
        """The address that was given, parsed; None means the embedded Postgres."""
        if self.databases is not None and self.database is not None:
            return self.databases.addresses[self.database]
        if self.db_url is None:
            return None
        return address.parse(self.db_url, listen_url=self.listen_url, source=self.source)


@dataclass(frozen=True, slots=True)
class _Found:
    value: str
    source: str


def resolve(
    options: Mapping[str, str | None],
    environ: Mapping[str, str],
    toml: Mapping[str, Any],
    project_dir: Path,
    *,
    env_file: Mapping[str, str] | None = None,
) -> Settings:
    """The settings of the project in ``project_dir``. ``env_file`` are the variables of its ``.env``.

    ``options`` may hold the names of :data:`ENVIRONMENT`. A relative data folder is taken from the project's.
    Raises :class:`InvalidOption` or :class:`InvalidAddress` that says where a value came from.
    """
    _check_toml(toml)
    found = {name: _first(name, options, environ, env_file or {}, toml) for name in ENVIRONMENT}
    several, database, db_url = _place(toml, {**(env_file or {}), **environ}, found)
    data, runtime = found["data"], runtime_settings(toml.get("runtime", {}))
    settings = Settings(
        project_dir=project_dir,
        data_dir=project_dir / Path(data.value if data else STATE_FOLDER).expanduser(),
        db_url=db_url.value if db_url else None,
        listen_url=_checked_listen_url(found["listen_url"], several),
        db_settings=_db_settings(toml),
        log_level=_choice(found["log_level"], LOG_LEVELS, "info", "log level"),
        log_format=_choice(found["log_format"], LOG_FORMATS, "text", "log format"),
        fires_schedules=_choice(found["schedules"], SWITCH, "on", "switch for schedules") == "on",
        makes_calls=_choice(found["calls"], SWITCH, "on", "switch for calls") == "on",
        call_addresses=guard_of(found["call_addresses"].value) if found["call_addresses"] else None,
        functions_url=found["functions_url"].value.rstrip("/") if found["functions_url"] else None,
        names_data=data is not None,
        source=db_url.source if db_url else EMBEDDED,
        runtime=runtime,
        functions=function_settings(toml.get("functions", {}), runtime),
        dashboard=_dashboard(toml.get("dashboard", {}), found["dashboard"], found["redact"]),
        databases=several,
        database=database,
        is_chosen=found["database"] is not None,
    )
    _ = settings.address  # refuses a bad one here, where its source is known
    return settings


def _databases(
    toml: Mapping[str, Any], variables: Mapping[str, str], given: _Found | None
) -> Databases | None:
    """The databases of ``[databases]``; None where an address on the command line comes before them, or there
    are none. ``given`` is the one address. ``DATABASE_URL`` is the application's own, and not looked at.
    """
    if given is not None and given.source == "--db-url":
        return None
    several = databases(
        toml.get("databases", {}),
        toml.get("routes", {}),
        variables,
        main=toml.get("db", {}).get("database", ""),
        schedules=toml.get("schedules", {}).get("database", ""),
        flows=toml.get("flows", {}).get("database", ""),
    )
    if several is not None and given is not None and given.source.partition(" ")[0] in _RIVALS:
        raise InvalidOption(
            f"{given.source} names one database, and [databases] of {FILE_NAME} names several.",
            hint="Leave the one out; POSTMILL_DATABASE or --database chooses one of them by its name.",
        )
    return several


def _place(
    toml: Mapping[str, Any], variables: Mapping[str, str], found: Mapping[str, _Found | None]
) -> tuple[Databases | None, str | None, _Found | None]:
    """The databases, the name of the one at which a command looks, and its address."""
    several = _databases(toml, variables, found["db_url"])
    database = _chosen(several, found["database"])
    if several is None or database is None:
        return None, None, found["db_url"]
    where = several.addresses[database]
    return several, database, _Found(where.url, where.source)


def _db_settings(toml: Mapping[str, Any]) -> dict[str, str]:
    return {name: _as_setting(value) for name, value in toml.get("db", {}).get("settings", {}).items()}


def _chosen(several: Databases | None, asked: _Found | None) -> str | None:
    """The name of the database that one thing is done in."""
    if asked is None:
        return None if several is None else several.main
    if several is None:
        raise InvalidOption(
            f"{asked.source} chooses the database {asked.value!r}, and there are none to choose from.",
            why=f"{FILE_NAME} has no [databases], or --db-url names one address.",
            hint="Leave it out, or name the databases.",
        )
    return several.check(asked.value, of=asked.source)


def _dashboard(table: Mapping[str, Any], serve: _Found | None, redact: _Found | None) -> DashboardSettings:
    made = dashboard_settings(table)
    if redact is not None:
        names = (each.strip() for each in redact.value.split(","))
        made = replace(made, redact=tuple(filter(None, names)))
    return replace(made, serve=_choice(serve, SWITCH, "on", "switch for the dashboard") == "on")


def _first(
    name: str,
    options: Mapping[str, str | None],
    environ: Mapping[str, str],
    env_file: Mapping[str, str],
    toml: Mapping[str, Any],
) -> _Found | None:
    if value := options.get(name):
        return _Found(value, "--" + name.replace("_", "-"))
    for variable in ENVIRONMENT[name]:
        if value := environ.get(variable):
            return _Found(value, variable)
    for variable in ENVIRONMENT[name]:
        if value := env_file.get(variable):
            return _Found(value, f"{variable} in {ENV_FILE}")
    if name not in _IN_TOML:
        return None
    table, key = _IN_TOML[name]
    value = toml.get(table, {}).get(key)
    return None if value in {None, ""} else _Found(_as_setting(value), FILE_NAME)


def _checked_listen_url(found: _Found | None, databases: Databases | None) -> str | None:
    if found is None:
        return None
    if databases is not None:
        raise InvalidOption(
            f"{found.source} gives one address to LISTEN on, and [databases] of {FILE_NAME} names several.",
            why="Each has its own.",
            hint='Write it beside each: eu1 = { url = "postgresql://…", listen_url = "postgresql://…" }.',
        )
    address.check_listens(found.value, found.source)
    return found.value


def _choice(found: _Found | None, allowed: tuple[str, ...], default: str, what: str) -> str:
    if found is None:
        return default
    value = found.value.lower()
    if value not in allowed:
        raise not_a_choice(f"{found.value!r} from {found.source} is not a {what}.", value, allowed)
    return value


def _check_toml(toml: Mapping[str, Any]) -> None:
    for table, keys in toml.items():
        known = TOML_KEYS.get(table)
        if known is None and table not in OTHER_TABLES:
            shown = f"[{table}]" if isinstance(keys, Mapping) else table
            raise unknown_name(shown, table, (*TOML_KEYS, *OTHER_TABLES))
        if not isinstance(keys, Mapping):
            raise wrong_type(table, dict)
        if known is not None:
            check_table(table, keys, known)


def _as_setting(value: object) -> str:
    """TOML's own true, 128 and "64MB" as Postgres spells them."""
    return ("on" if value else "off") if isinstance(value, bool) else str(value)
