"""Where a command's words go: data to stdout, everything else to stderr.

A table on a terminal, tab-separated text in a pipe, ``--json`` one document, ``--jsonl`` one object a line.
Decides nothing about what is shown.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from postmill.cli.terminal import text as terminal_text
from postmill.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


ANY_WIDTH = 10_000
"""More columns than a terminal has: a table that is measured with it is not cut."""


class Output:
    """The two streams of one invocation and the form of its data."""

    def __init__(self) -> None:
        self.form = "text"
        self.quiet = False

    def choose(self, form: str) -> None:
        """``json`` or ``jsonl``; both at once is a usage error."""
        if self.form not in {"text", form}:
            raise click.UsageError("--json and --jsonl exclude each other.")
        self.form = form

    @property
    def is_text(self) -> bool:
        """Whether people read the data."""
        return self.form == "text"

    def note(self, text: str) -> None:
        """A remark for people, on stderr; --quiet drops it."""
        if not self.quiet:
            click.echo(terminal_text.lines(text), err=True)

    def rows(
        self,
        rows: Iterable[Mapping[str, Any]],
        columns: Sequence[str],
        *,
        empty: str = "",
        heading: bool = True,
    ) -> None:
        """A list of things: ``columns`` for people, everything as JSON; ``empty`` is said of none."""
        if self.form == "jsonl":
            for row in rows:
                click.echo(encoded(row))
            return
        found = list(rows)
        if self.form == "json":
            click.echo(encoded(found))
        elif not found:
            self.note(empty)
        elif sys.stdout.isatty() and heading:
            _print_table(found, columns)
        else:
            _print_tabs(found, columns, heading=heading)

    def one(self, thing: Mapping[str, Any]) -> None:
        """One thing: a line a field for people, one object as JSON."""
        if not self.is_text:
            click.echo(encoded(thing))
            return
        width = max(map(len, thing), default=0)
        for name, value in thing.items():
            click.echo(f"{name:<{width}}  {terminal_text.lines(_shown(value))}")

    def confirm(self, question: str, *, yes: bool) -> None:
        """Asks before something is destroyed. Raises :class:`Refused` on "no" and without a terminal."""
        if yes:
            return
        if not sys.stdin.isatty():
            raise Refused(question, why="There is no terminal to ask on.", hint="Add -y to do it.")
        click.echo(terminal_text.lines(question), err=True)
        if not click.confirm("Go on?", err=True):
            raise Refused("Nothing was done.", why="The answer was no.")


def encoded(value: Any) -> str:
    """``value`` as JSON, with dates in ISO 8601, and nothing in it that a terminal obeys."""
    import orjson

    try:
        text = orjson.dumps(value, default=str).decode()
    except TypeError:  # an integer beyond 64 bit, which jsonb can hold
        import json

        text = json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":"))
    return terminal_text.json_text(text)


def _print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for column in columns:
        numeric = all(isinstance(row.get(column), int | float | None) for row in rows)
        table.add_column(
            _heading(column),
            justify="right" if numeric else "left",
            overflow="fold",
            min_width=max(map(len, _heading(column).split())),
        )
    for row in rows:
        table.add_row(*(_escaped(row.get(column)) for column in columns))
    console = Console()
    needed = console.measure(table, options=console.options.update(width=ANY_WIDTH)).minimum
    if needed > console.width:  # a column more fits when one space separates them
        table.padding = 0
    console.print(table)


def _heading(column: str) -> str:
    """The column's name, in words that a narrow terminal can put below each other."""
    return column.replace("_", " ")


def _escaped(value: Any) -> str:
    from rich.markup import escape

    return escape(terminal_text.lines(_shown(value)))


def _print_tabs(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, heading: bool) -> None:
    if heading:
        click.echo("\t".join(columns))
    for row in rows:
        click.echo("\t".join(_one_line(_shown(row.get(column))) for column in columns))


def _one_line(text: str) -> str:
    return terminal_text.one_line(text.replace("\t", " ").replace("\n", " "))


def _shown(value: Any) -> str:
    import datetime

    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, dict | list):
        return encoded(value)
    return str(value)
