"""Doing one thing to many messages or dead letters: the options that commands share, the dry run, the
question, and the wait for the operation's end.

A command that waits carries the operation out itself, beside any process that does: it needs none that runs.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

import click

from postmill.cli.options import Whole, dry_run_option, yes_option
from postmill.model.errors import Refused
from postmill.model.search.condition import OF_LETTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from postmill.cli.options import AnyCallable
    from postmill.cli.session import Session
    from postmill.db.tools.connect import Connection

LOOK_S = 0.2
"""Seconds between two looks at an operation that another process carries out: a person sees no delay."""
DONE = {
    "cancel": "cancels {} of queue {}",
    "retry": "has {} of queue {} run now",
    "move": "moves {} of queue {} to another",
    "replay": "puts {} back into queue {}",
    "discard": "deletes {} of queue {}",
}
"""What an operation does, in the words of the question."""


@dataclass(frozen=True, slots=True)
class Many:
    """What the command line says of an operation."""

    everything: bool
    matching: dict[str, Any] | str | None
    """A filter, or a search."""
    per_second: float | None
    yes: bool
    dry_run: bool
    wait: bool

    @property
    def is_asked_for(self) -> bool:
        """Whether it is about more than ids."""
        return self.everything or self.matching is not None

    def check(self, by_id: bool, *others: bool) -> None:
        """Raise a usage error unless it is said in one way what this is about: ``by_id``, or in another."""
        if [self.everything, self.matching is not None, by_id, *others].count(True) != 1:
            raise click.UsageError("Say once what this is about: ids, --matching, or --all.")
        if self.per_second is not None and by_id:
            raise click.UsageError("--rate goes with --matching and --all.")

    def condition(self, connection: Connection, kind: str, queue: str) -> Mapping[str, Any]:
        """The filter of the operation. Raises ``InvalidSearch``."""
        from postmill.db.tools import many

        if isinstance(self.matching, str):
            return many.matching(connection, kind, queue, self.matching)
        return self.matching or {}


class Matching(click.ParamType[Any]):
    """A search, or the filter of an operation as SQL has it: a JSON object, of which the database says which
    keys there are.
    """

    name = "search"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any] | str:
        """Fails with a usage error for what begins as JSON and is no object, and for nothing: a variable of
        the shell may be unset, and every message would match.
        """
        if not value.strip():
            self.fail("nothing is given: --all takes every one.", param, ctx)
        if not value.lstrip().startswith(("{", "[")):
            return str(value)
        try:
            found = json.loads(value)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            self.fail(f"{value!r} is no JSON object: write a search, or {{...}}.", param, ctx)
        return found


def many_options(command: AnyCallable) -> AnyCallable:
    """``--all``, ``--matching``, and how it is done. The command gets ``many``."""
    matching = click.option(
        "--matching",
        type=Matching(),
        metavar="SEARCH",
        help="Those that match, such as 'state:ready error:refused'.",
    )
    everything = click.option("--all", "everything", is_flag=True, help="Every one of the queue.")
    return everything(matching(many_pace_options(command)))


def many_pace_options(command: AnyCallable) -> AnyCallable:
    """``--rate``, ``--wait``, ``--yes`` and ``--dry-run``. The command gets ``many``."""

    @wraps(command)
    def told(
        *arguments: Any,
        everything: bool = False,
        matching: dict[str, Any] | str | None = None,
        **options: Any,
    ) -> Any:
        said = {name: options.pop(name) for name in ("yes", "dry_run", "wait")}
        many = Many(everything, matching, options.pop("rate"), **said)
        return command(*arguments, many=many, **options)

    rate = click.option("--rate", type=Whole(1, 1_000_000), metavar="N", help="At most so many a second.")
    wait = click.option(
        "--wait/--no-wait", default=True, help="Wait for the end (the default), or leave it to what runs."
    )
    return cast("AnyCallable", rate(wait(yes_option(dry_run_option(told)))))


def do_to_many(
    session: Session,
    kind: str,
    queue: str,
    many: Many,
    condition: Callable[[Connection], Mapping[str, Any]] | None = None,
    target: str | None = None,
) -> None:
    """Count, ask, start the operation, and wait for its end. It is about what ``many`` says, or about
    ``condition``; ``target`` is where a move goes. Raises :class:`Refused` when it fails.
    """
    from postmill.db.reads import operations
    from postmill.db.tools import many as acts

    with session.database() as connection:
        wanted = condition(connection) if condition else many.condition(connection, kind, queue)
        planned = acts.plan(connection, kind, queue, wanted, target)
        if many.dry_run:
            session.output.one({"kind": kind, "queue": queue, **planned})
            return
        if planned["matching"] or not planned["complete"]:
            session.output.confirm(_question(kind, queue, planned), yes=many.yes)
        started = acts.start(connection, kind, queue, wanted, planned, many.per_second, target)
        row = _ended(connection, started) if many.wait else operations.one(connection, started)
    session.output.one(row)
    if planned["complete"] and not planned["matching"]:
        noun = "dead letter" if kind in OF_LETTERS else "message"
        session.output.note(f"No {noun} of queue {queue} matches: nothing was done.")
    if row["state"] == "failed":
        raise Refused(f"Operation {started} has failed.", why=row["error"])
    if not many.wait:
        session.output.note(f"A process that runs workers or serves carries it out: operation show {started}")


def _question(kind: str, queue: str, planned: Mapping[str, Any]) -> str:
    count = planned["matching"]
    noun = "dead letter" if kind in OF_LETTERS else "message"
    many = f"{count} {noun}" if count == 1 else f"{count} {noun}s"
    return f"This {DONE[kind].format(many if planned['complete'] else f'at least {many}', queue)}."


def _ended(connection: Connection, operation_id: int) -> dict[str, Any]:
    """How it has ended. It is carried out here too: no other process need run."""
    from postmill.db.reads import operations
    from postmill.db.tools import many as acts

    while True:
        due_s = acts.take_page(connection, operation_id)
        if not due_s:
            row = operations.one(connection, operation_id)
            if row["ended_at"] is not None:
                return row
        if due_s is None:
            time.sleep(LOOK_S)
        elif due_s > 0:
            time.sleep(min(due_s, LOOK_S))
