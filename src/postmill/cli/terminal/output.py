"""Where a command's output goes: data to stdout, everything else to stderr.

A table on a terminal, tab-separated text in a pipe, ``--json`` one document, ``--jsonl`` one object a line.
Decides nothing about what is shown.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

import click

from postmill.cli.terminal import text as terminal_text
from postmill.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


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

    def did(self, what: Mapping[str, Any], note: str) -> None:
        """What a command has changed: a remark for people, ``what`` as JSON."""
        if self.is_text:
            self.note(note)
        else:
            click.echo(terminal_text.encoded(what))

    def rows(
        self,
        rows: Iterable[Mapping[str, Any]],
        columns: Sequence[str],
        *,
        empty: str = "",
        heading: bool = True,
    ) -> None:
        """A list of things: ``columns`` for people, everything as JSON. ``empty`` is printed when there are
        none.
        """
        if self.form == "jsonl":
            for row in rows:
                click.echo(terminal_text.encoded(row))
            return
        found = list(rows)
        if self.form == "json":
            click.echo(terminal_text.encoded(found))
        elif not found:
            self.note(empty)
        elif sys.stdout.isatty() and heading:
            _print_table(found, columns)
        else:
            _print_tabs(found, columns, heading=heading)

    def one(self, thing: Mapping[str, Any]) -> None:
        """One thing: a line a field for people, one object as JSON."""
        if not self.is_text:
            click.echo(terminal_text.encoded(thing))
            return
        width = max(map(len, thing), default=0)
        for name, value in thing.items():
            click.echo(f"{name:<{width}}  {terminal_text.lines(_shown(value))}".rstrip())

    def with_failures(self, thing: Mapping[str, Any]) -> None:
        """As :meth:`one`, with the failed attempts in ``failures`` and their tracebacks as people read them.
        A traceback of ``thing`` itself is the last attempt's, and stands there.
        """
        if not self.is_text:
            self.one(thing)
            return
        self.one({name: value for name, value in thing.items() if name not in {"failures", "traceback"}})
        import datetime

        from postmill.cli.terminal import attempts

        dim = _style(terminal_text.DIM)
        click.echo("failures" if thing["failures"] else "no failures")
        for line in attempts.lines(thing["failures"], datetime.datetime.now(datetime.UTC), dim=dim):
            click.echo(line, color=True)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Asks before something is destroyed. Raises :class:`Refused` on "no" and without a terminal."""
        if yes:
            return
        if not sys.stdin.isatty():
            raise Refused(question, why="There is no terminal to ask on.", hint="Add -y to do it.")
        click.echo(terminal_text.lines(question), err=True)
        if not click.confirm("Go on?", err=True):
            raise Refused("Nothing was done.", why="The answer was no.")


def _print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    import datetime
    import shutil

    from postmill.cli.terminal import table

    for line in table.lines(
        rows,
        columns,
        width=shutil.get_terminal_size().columns,
        now=datetime.datetime.now(datetime.UTC),
        heading=_style(terminal_text.BOLD),
        ellipsis=ellipsis_of(sys.stdout),
    ):
        click.echo(line, color=True)


def _style(style: int) -> Callable[[str], str]:
    """What puts a text into a style where standard output has colours."""
    from postmill.cli.terminal.log_lines import may_colour

    return partial(terminal_text.styled, style=style) if may_colour(sys.stdout) else str


def ellipsis_of(stream: TextIO) -> str:
    """What stands for what was cut: three dots where the stream's encoding has no character for them."""
    try:
        "…".encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return "..."
    return "…"


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
        return terminal_text.encoded(value)
    return str(value)
