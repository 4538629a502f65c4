"""What one invocation of ``postmill`` knows: its global options, and through them settings and the database.

Opens nothing before it is asked to. Commands get it with ``@click.pass_obj``.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from postmill.cli.terminal.output import Output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.db.tools.connect import Connection
    from postmill.model.config.address import Address
    from postmill.model.config.settings import Settings


class Session:
    """Global options and what follows from them."""

    def __init__(self) -> None:
        self.options: dict[str, str | None] = {}
        self.project: str | None = None
        self.debug = False
        self.output = Output()
        self._settings: Settings | None = None
        """Read at the first use."""

    @property
    def settings(self) -> Settings:
        """The project's settings. Raises ``InvalidOption`` or ``InvalidAddress``."""
        if self._settings is None:
            from postmill import app

            self._settings = app.load_settings(self.options, project=self.project)
        return self._settings

    @contextmanager
    def database(self) -> Iterator[Connection]:
        """A connection to the project's database, whose schema is there and of this version."""
        from postmill import app

        self._tell_of_a_new_database()
        with app.connection(self.settings) as connection:
            yield connection

    def tell_database(self, settings: Settings, where: Address) -> None:
        """Say which database something runs on, and where its address came from."""
        if settings.is_embedded:
            from postmill.cli.terminal.table import relative

            self.output.note(f"Postmill: database in {relative(settings.data_dir)} (embedded)")
        else:
            self.output.note(f"Postmill: database {where.masked} ({settings.source})")

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
        return given
