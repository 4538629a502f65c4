"""``postmill route``: where the messages of queues are that are spread over several databases."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from postmill.cli.options import dry_run_option, global_options, json_option, jsonl_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.cli.session import Session
    from postmill.databases.spread import Spread
    from postmill.db.tools.connect import Connection
    from postmill.model.config.settings import Settings
    from postmill.model.databases.databases import Databases

COLUMNS = ("queue", "database", "takes_new", "messages", "elsewhere", "without_key", "leaving")


@click.group(no_args_is_help=True)
def route() -> None:
    """Show where the messages of routed queues are, and bring them to where they live."""


@route.command()
@click.argument("queue", required=False)
@json_option
@jsonl_option
@global_options
@click.pass_obj
def status(session: Session, queue: str | None) -> None:
    """Show how many messages of each route are in each database, and how many live elsewhere by now.

    Those run where they are, so that a database that has left a route empties by itself. It may be taken out
    of postmill.toml when it has no messages any more.
    """
    databases = _databases(session)
    queues = [_routed(databases, queue)] if queue is not None else list(databases.routes)
    rows = [found.as_row() for found in _spreads(session, databases, queues)]
    session.output.rows(rows, COLUMNS, empty="No queue has a route: see [routes] in postmill.toml.")
    if not all(row["exact"] for row in rows):
        session.output.note("Of a queue with more than a million messages the first million were looked at.")


@route.command()
@click.argument("queue")
@click.option("--from", "source", metavar="NAME", help="Only what is in this database.")
@dry_run_option
@json_option
@global_options
@click.pass_obj
def move(session: Session, queue: str, *, source: str | None, dry_run: bool) -> None:
    """Bring waiting messages of QUEUE to the database in which their keys live.

    What was taken before, waits for others, has followers, a group or a unique key stays, and runs where it
    is; at the end it is told how many there are. A message that is moved gets another id, and stands behind
    those that its new database has already.
    """
    from postmill.databases.moving import Mover

    databases = _databases(session)
    _routed(databases, queue)
    sources = databases.names if source is None else (databases.check(source),)
    if dry_run:
        found = [each for each in _spreads(session, databases, [queue]) if each.database in sources]
        rows = [{"queue": queue, "database": each.database, "elsewhere": each.elsewhere} for each in found]
        session.output.rows(rows, ("queue", "database", "elsewhere"))
        return
    rows = []
    with Connections(session, queue) as connections:
        for name in sources:
            mover = Mover(databases, queue, name, connections)
            moved, left = mover.move(), mover.left
            rows.append({"queue": queue, "database": name, "moved": moved, "left": left.total(), **left})
    session.output.rows(rows, ("queue", "database", "moved", "left"))
    for row in rows:
        _tell_left(session, row)


def _tell_left(session: Session, row: dict[str, Any]) -> None:
    from postmill.databases.moving import WHY_LEFT

    reasons = [f"{row[kind]} {why}" for kind, why in WHY_LEFT.items() if row[kind]]
    if reasons:
        session.output.note(
            f"Left in {row['database']}: {', '.join(reasons)}."
            f" They run there, by the workers of {row['queue']}."
        )


class Connections(ExitStack):
    """See :class:`postmill.databases.moving.Connections`: opened when they are needed first."""

    def __init__(self, session: Session, queue: str) -> None:
        super().__init__()
        self._session, self._queue = session, queue
        self._open: dict[str, Connection] = {}
        self._with_queue: set[str] = set()

    def to(self, name: str) -> Connection:
        """A connection to a database."""
        from postmill import app

        if name not in self._open:
            self._open[name] = self.enter_context(app.connection(self._session.settings.at(name)))
        return self._open[name]

    def with_queue(self, name: str) -> Connection:
        """A connection to a database, in which the queue is made if it is missing."""
        from postmill.databases.spread import has_queue
        from postmill.db.tools import operations

        connection = self.to(name)
        if name not in self._with_queue:
            if not has_queue(connection, self._queue):
                operations.create_queue(connection, self._queue)
            self._with_queue.add(name)
        return connection


def _databases(session: Session) -> Databases:
    from postmill.model.errors import InvalidOption

    databases = session.settings.databases
    if databases is None:
        raise InvalidOption(
            "This project has one database, and so no routes.",
            hint="Name several in [databases] of postmill.toml.",
        )
    return databases


def _routed(databases: Databases, queue: str) -> str:
    """``queue`` itself. Raises ``InvalidOption`` when it has no route."""
    from postmill.model.errors import InvalidOption
    from postmill.model.option_rules import did_you_mean

    if queue not in databases.routes:
        raise InvalidOption(
            f"Queue {queue} has no route.",
            why=f"It lives in {databases.main}.",
            hint=did_you_mean(queue, databases.routes),
        )
    return queue


def _spreads(session: Session, databases: Databases, queues: Sequence[str]) -> list[Spread]:
    """The spread of each queue in each database that answers and has to do with it."""
    from postmill import app
    from postmill.databases.spread import spread

    def look(settings: Settings) -> list[Spread]:
        with app.connection(settings) as connection:
            name = settings.database or databases.main
            return [spread(connection, databases, name, queue) for queue in queues]

    answers = session.answers(look).values()
    found = [each for queue in queues for spreads in answers for each in spreads if each.queue == queue]
    return [each for each in found if each.takes_new or each.messages or each.leaving]
