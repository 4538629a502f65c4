"""What one invocation of ``postmill`` knows: its global options, and through them settings and the database.

Opens nothing before it is asked to. Commands get it with ``@click.pass_obj``.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from postmill.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.db.connect import Connection
    from postmill.model.settings import Settings


class Session:
    """Global options and what follows from them."""

    def __init__(self) -> None:
        self.options: dict[str, str | None] = {}
        self.project: str | None = None
        self.debug = False
        self.output = Output()

    @cached_property
    def settings(self) -> Settings:
        """The project's settings. Raises ``InvalidOption`` or ``InvalidAddress``."""
        from postmill import app

        return app.load_settings(self.options, project=self.project)

    @contextmanager
    def database(self) -> Iterator[Connection]:
        """A connection to the project's database, whose schema is there and of this version."""
        from postmill import app

        with app.connection(self.settings) as connection:
            yield connection

    def addresses(self) -> list[str]:
        """Every address given so far, for masking. Never fails: it is used while an error is shown."""
        given = [value for name, value in self.options.items() if name.endswith("url") and value]
        settings = self.__dict__.get("settings")
        return (
            [*given, *(url for url in (settings.db_url, settings.listen_url) if url)] if settings else given
        )
