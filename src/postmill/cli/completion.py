"""What the shell offers for an argument: names of queues, functions and workers, ids of workers and letters.

Completing must be quick and must change nothing: a database is asked only when it runs already, for a second
at most, and whatever goes wrong offers nothing.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from postmill.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import click

    from postmill.model.config.address import Address

    Names = Callable[[Session, click.Context], Iterable[str]]
    Complete = Callable[[click.Context, click.Parameter, str], list[str]]

MAX_NAMES = 200
"""The most names that a shell is offered. 200: bash asks from 100 on whether to show them, and a longer list
helps no reader.
"""
PATIENCE_S = 1
"""How long a database may take to answer, in seconds. 1 s: a person who has pressed Tab does not wait longer.
"""


def _offering(names: Names) -> Complete:
    def complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        session = context.find_object(Session) or Session()
        try:
            return [name for name in names(session, context) if name.startswith(incomplete)][:MAX_NAMES]
        except Exception:  # a shell that is completing shows no errors
            return []

    return complete


def _queues(session: Session, _: click.Context) -> Iterable[str]:
    return (row["queue_name"] for row in _rows(session, "complete_queues"))


def _worker_ids(session: Session, _: click.Context) -> Iterable[str]:
    return (str(row["worker_id"]) for row in _rows(session, "complete_workers"))


def _letters(session: Session, context: click.Context) -> Iterable[str]:
    queue = context.params.get("queue")
    return (str(row["letter_id"]) for row in _rows(session, "complete_letters", queue))


def _schedules(session: Session, _: click.Context) -> Iterable[str]:
    return (row["name"] for row in _rows(session, "complete_schedules"))


def _flows(session: Session, _: click.Context) -> Iterable[str]:
    return (row["flow"] for row in _rows(session, "complete_flows"))


def _runs(session: Session, _: click.Context) -> Iterable[str]:
    return (str(row["run_id"]) for row in _rows(session, "complete_runs"))


def _functions(session: Session, _: click.Context) -> Iterable[str]:
    from postmill.host.discovery import survey

    settings = session.settings
    return survey(settings.functions_dir.absolute(), settings.runtime, settings.functions).sources


def _targets(session: Session, _: click.Context) -> Iterable[str]:
    from postmill.cli import discover

    return (target.name for target in discover.targets(session.settings.project_dir))


def _rows(session: Session, name: str, *arguments: object) -> list[dict[str, Any]]:
    """The rows of a statement, from a database that runs already."""
    from postmill.db.tools.connect import connect
    from postmill.sql.catalog import statement

    address = _running_database(session)
    if address is None:
        return []
    with _for_at_most(PATIENCE_S), connect(address) as connection:
        return connection.execute(statement(name), arguments).fetchall()


def _running_database(session: Session) -> Address | None:
    from postmill import embedded
    from postmill.model.config.address import parse

    settings = session.settings
    if settings.address is not None:
        return settings.address
    state = embedded.status(settings.data_dir).state
    return parse(state.url) if state is not None else None


@contextmanager
def _for_at_most(seconds: int) -> Iterator[None]:
    """Breaks off with :class:`TimeoutError`. A process that completes has no other use for the alarm."""
    before = signal.signal(signal.SIGALRM, _break_off)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _break_off(_number: int, _frame: object) -> NoReturn:
    raise TimeoutError


queues, worker_ids, letters = _offering(_queues), _offering(_worker_ids), _offering(_letters)
schedules = _offering(_schedules)
flows, runs = _offering(_flows), _offering(_runs)
functions, targets = _offering(_functions), _offering(_targets)
