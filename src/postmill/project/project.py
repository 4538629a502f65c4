"""A project's settings and the database they name: read, found or started, connected, and with Postmill's
schema in it.

Every command starts here. Knows no workers and no commands.
"""

from __future__ import annotations

import io
import os
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postmill.db.tools.connect import connect, translated
from postmill.model.config import address as addresses
from postmill.model.config.project_file import FILE_NAME
from postmill.model.config.settings import EMBEDDED, ENV_FILE, Settings, resolve
from postmill.model.errors import InvalidOption, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from postmill.db.tools.connect import Connection
    from postmill.model.config.address import Address
    from postmill.model.databases.databases import Databases


def load_settings(
    options: Mapping[str, str | None],
    *,
    project: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings of the project in the folder ``project``, else of the one around the working folder.

    Raises ``NotFound`` when ``project`` is no folder, ``InvalidOption`` or ``InvalidAddress`` for a value.
    """
    folder = _given_folder(project) if project is not None else find_project(Path.cwd())
    return resolve(
        options,
        os.environ if environ is None else environ,
        _read_toml(folder / FILE_NAME),
        folder,
        env_file=_read_env_file(folder / ENV_FILE),
    )


def load_databases(project: str | Path | None = None) -> Databases:
    """The databases and routes of ``postmill.toml``, for a client: in the folder ``project``, else around the
    working folder. Raises as :func:`load_settings`, and ``InvalidOption`` where it names none.
    """
    settings = load_settings({}, project=project)
    if settings.databases is None:
        raise InvalidOption(
            f"{settings.project_dir / FILE_NAME} names no databases.",
            hint='Name them: [databases] eu1 = "postgresql://…"; for one database use Client or AsyncClient.',
        )
    return settings.databases


def check_database_is_named(settings: Settings, *, embedded: bool) -> None:
    """Before something runs on and on: a mistyped variable must not give it an empty database of its own.

    ``embedded``: the caller asks for the project's own Postgres. Raises :class:`InvalidOption`.
    """
    is_project = (settings.project_dir / FILE_NAME).exists()
    if settings.is_embedded and not (embedded or settings.names_data or is_project):
        raise InvalidOption(
            "No database is named.",
            why=f"POSTMILL_DB_URL is not set, and no folder from here upwards has a {FILE_NAME}.",
            hint="Set it, or add --embedded for a Postgres of the project's own.",
        )


def find_project(start: Path) -> Path:
    """The nearest folder from ``start`` upwards with a ``postmill.toml``; without one, ``start`` itself."""
    return next((folder for folder in (start, *start.parents) if (folder / FILE_NAME).is_file()), start)


@contextmanager
def database(settings: Settings) -> Iterator[Address]:
    """Where the database is; the embedded one runs for as long as the context lasts, at least.

    Raises ``EmbeddedError`` when that fails. Does not connect to an address that was given.
    """
    given = settings.address
    if given is not None:
        yield given
        return
    from postmill.embedded import open_server  # noqa: PLC0415 - a project with a server of its own never loads it

    with open_server(settings.data_dir, settings=dict(settings.db_settings)) as server:
        yield addresses.parse(server.url, source=EMBEDDED)


@contextmanager
def connection(settings: Settings) -> Iterator[Connection]:
    """An open connection to a database that has Postmill's schema in this version.

    The embedded database is migrated when it needs it; any other is left alone. Raises ``SchemaMissing``,
    ``SchemaTooNew``, ``DatabaseUnavailable``, and other reports of the driver as errors of Postmill.
    """
    with bare_connection(settings) as (_, opened):
        ensure_schema(settings, opened)
        yield opened


@contextmanager
def bare_connection(settings: Settings) -> Iterator[tuple[Address, Connection]]:
    """The address and an open connection to it, whatever is or is not in the database."""
    with database(settings) as where, connect(where) as opened, translated(where):
        yield where, opened


def prepare(settings: Settings, where: Address) -> None:
    """Connects once to check the database and its schema, as :func:`connection` does."""
    with connect(where) as opened, translated(where):
        ensure_schema(settings, opened)


def ensure_schema(settings: Settings, opened: Connection) -> None:
    """Migrates an embedded database; refuses any other whose schema is missing or of another version."""
    from postmill.db.tools import migrate  # noqa: PLC0415 - most commands find the schema in place

    if settings.is_embedded:
        migrate.migrate(opened)
    migrate.check_version(opened, settings.database)


def _given_folder(project: str | Path) -> Path:
    folder = Path(project).expanduser().absolute()
    if not folder.is_dir():
        raise NotFound(
            f"There is no project folder {folder}.", hint="Give a folder that exists with --project."
        )
    return folder


def _read_env_file(path: Path) -> dict[str, str]:
    """The variables of a project's ``.env``. Nothing is expanded; a folder or a pipe of that name is none."""
    if not path.is_file():
        return {}
    from dotenv import dotenv_values  # noqa: PLC0415 - most projects have none

    try:
        found = dotenv_values(stream=io.StringIO(path.read_text(encoding="utf-8-sig")), interpolate=False)
    except UnicodeDecodeError as error:
        raise InvalidOption(f"{path} can't be read.", why="It is not UTF-8.") from error
    except OSError as error:
        raise InvalidOption(f"{path} can't be read.", why=f"{error.strerror}.") from error
    return {name: value for name, value in found.items() if value and _is_for_us(name, value)}


def _is_for_us(name: str, value: str) -> bool:
    """``DATABASE_URL`` in a project's file is often for another database: SQLite, MySQL."""
    return name != "DATABASE_URL" or value.startswith("postgres")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.is_fifo():  # opening it could wait for ever
            raise InvalidOption(f"{path} can't be read.", why="It is a pipe.")
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors on Windows begin a file so
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidOption(
            f"{path} can't be read as TOML.", why=f"{error}.", hint="Correct that line."
        ) from error
    except OSError as error:
        raise InvalidOption(f"{path} can't be read.", why=f"{error.strerror}.") from error
