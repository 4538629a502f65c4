"""What one invocation of ``postmill`` knows: its global options, and through them settings and the database.

Opens nothing before it is asked to. Commands get it with ``@click.pass_obj``.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from postmill.cli.terminal.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from postmill.db.tools.connect import Connection
    from postmill.model.config.address import Address
    from postmill.model.config.settings import Settings

T = TypeVar("T")


class Session:
    """Global options and what follows from them."""

    def __init__(self) -> None:
        self.options: dict[str, str | None] = {}
        self.project: str | None = None
        self.debug = False
        self.output = Output()
        self._settings: Settings | None = None
        """Read at the first use."""
        self.part = ""
        """What the command is about, when that lives in a database of its own: ``schedules`` or ``flows``."""

    @property
    def settings(self) -> Settings:
        """The project's settings. Raises ``InvalidOption`` or ``InvalidAddress``."""
        if self._settings is None:
            from postmill import app

            found = app.load_settings(self.options, project=self.project)
            if self.part and found.databases is not None and not found.is_chosen:
                of_flows = self.part == "flows"
                found = found.at(found.databases.of_flows if of_flows else found.databases.of_schedules)
            self._settings = found
        return self._settings

    def choose(self, name: str) -> None:
        """Look at the database of that name. Raises ``Refused`` when another one was asked for."""
        from postmill.model.errors import Refused

        settings = self.settings
        if settings.is_chosen and settings.database != name:
            raise Refused(
                f"This lives in database {name}, and {settings.database} was asked for.",
                hint="Leave --database out; without a key it is sent where --database says.",
            )
        self._settings = settings.at(name)

    @property
    def several(self) -> tuple[str, ...]:
        """The databases that the command looks at, when the project has several and none was chosen."""
        settings = self.settings
        return () if settings.databases is None or settings.is_chosen else settings.databases.names

    def each_settings(self) -> Iterator[tuple[str, Settings]]:
        """The settings for each database, with its name; without several, once, with none."""
        if not self.several:
            yield "", self.settings
        for name in self.several:
            yield name, self.settings.at(name)

    def homes(self, queue: str) -> list[Settings]:
        """The settings for each database that takes new messages of ``queue``; none without several."""
        databases = self.settings.databases
        over = databases.over(queue) if databases is not None and self.several else ()
        return [self.settings.at(name) for name in over]

    def answers(self, ask: Callable[[Settings], T]) -> dict[str, T]:
        """What ``ask`` gives for each database; a remark names those of several that are away, or lack the
        schema that this code needs. Raises what the first of them raised when no other is left.
        """
        from postmill.model.errors import DatabaseUnavailable, SchemaMissing, SchemaTooNew

        found: dict[str, T] = {}
        left_out: list[DatabaseUnavailable | SchemaMissing | SchemaTooNew] = []
        for name, settings in self.each_settings():
            try:
                found[name] = ask(settings)
            except (DatabaseUnavailable, SchemaMissing, SchemaTooNew) as error:
                left_out.append(error)
                if name:
                    self.output.note(f"Without {name}: {error.what} {error.hint}".rstrip())
        if not found:
            raise left_out[0]
        return found

    def gathered(self, read: Callable[[Connection], Iterable[dict[str, Any]]]) -> list[dict[str, Any]]:
        """The rows that ``read`` finds; of several databases with the name of each, as :meth:`answers`."""
        answers = self.each_answer(lambda connection: list(read(connection)))
        return [
            {"database": name, **row} if name else row for name, found in answers.items() for row in found
        ]

    def each_answer(self, read: Callable[[Connection], T]) -> dict[str, T]:
        """What ``read`` finds in each database, by name; without several under an empty one. As
        :meth:`answers`.
        """
        from postmill import app

        if not self.several:
            with self.database() as connection:
                return {"": read(connection)}

        def of(settings: Settings) -> T:
            with app.connection(settings) as connection:
                return read(connection)

        return self.answers(of)

    def columns(self, columns: Sequence[str]) -> tuple[str, ...]:
        """``columns``, behind the name of the database where there are several."""
        return ("database", *columns) if self.several else tuple(columns)

    @contextmanager
    def database(self) -> Iterator[Connection]:
        """A connection to the project's database, whose schema is there and of this version."""
        from postmill import app
        from postmill.model.errors import QueueNotFound

        self._tell_of_a_new_database()
        try:
            with app.connection(self.settings) as connection:
                yield connection
        except QueueNotFound as error:
            if self.several and not error.why:
                error.why = f"This looked in {self.settings.database}; --database chooses another one."
            raise

    def tell_database(self, settings: Settings, where: Address) -> None:
        """Say which database something runs on, and where its address came from."""
        if settings.is_embedded:
            from postmill.cli.terminal.table import relative

            self.output.note(f"Postmill: database in {relative(settings.data_dir)} (embedded)")
        else:
            self.output.note(f"Postmill: database {where.masked} ({where.source})")

    def _tell_of_a_new_database(self) -> None:
        """Say so when a command outside of a project makes a new database: often the folder is the
        wrong one.
        """
        from postmill.model.config.project_file import FILE_NAME
        from postmill.model.config.settings import STATE_FOLDER

        folder = self.settings.project_dir
        made = folder / STATE_FOLDER
        known = (folder / FILE_NAME).exists() or made.exists() or self.settings.data_dir != made
        if self.settings.is_embedded and not known:
            self.output.note(f"No {FILE_NAME} here or in a folder above: making a new database in {made}.")

    def addresses(self) -> list[str]:
        """Every address given so far, for masking. Never fails: it is used while an error is shown."""
        given = [value for name, value in self.options.items() if name.endswith("url") and value]
        if self._settings is not None:
            given += [url for url in (self._settings.db_url, self._settings.listen_url) if url]
            named = self._settings.databases
            for where in () if named is None else named.addresses.values():
                given += [url for url in (where.url, where.direct_url) if url]
        return given
