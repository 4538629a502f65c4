"""``postmill top``: queues, workers and failures, again and again, until Ctrl-C."""

from __future__ import annotations

import datetime
import signal
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NoReturn

import click

from postmill.cli.options import Duration, global_options, json_option
from postmill.cli.terminal import streams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.cli.session import Session
    from postmill.cli.terminal.top_frame import Frame, Reader, Readers

SHARE = 4
"""After each reading, ``top`` rests for at least 4 times as long as the reading took, so that it uses at most
a fifth of a server's time: a reading takes about a millisecond a queue.
"""

LOOK_EVERY_S = 0.5
"""Seconds between two looks whether the terminal is still there: it may be closed without a signal to this
process. Half a second: the process outlives its terminal by no more than that.
"""


@click.command()
@click.option(
    "--interval",
    type=Duration(least_s=0.1, most_s=3600),
    default="2s",
    show_default=True,
    metavar="TIME",
    help="Between two readings.",
)
@click.option("--once", is_flag=True, help="Print one frame, with the rates of one interval, and end.")
@json_option
@global_options
@click.pass_obj
def top(session: Session, *, interval: float, once: bool) -> None:
    """Watch queues, workers and the latest failures, until Ctrl-C.

    Off a terminal each frame is plain text. --json prints one frame.
    """
    with _reader(session) as reader:
        frames = _frames(reader, interval)
        if once or not session.output.is_text:
            next(frames)
            _print(session, next(frames))
            return
        try:
            _show(session, frames, interval)
        except KeyboardInterrupt:
            return  # the way to end it


@contextmanager
def _reader(session: Session) -> Iterator[Reader | Readers]:
    """What reads the database, or all that answer."""
    from postmill import app
    from postmill.cli.terminal.top_frame import Reader, Readers

    if not session.several:
        with session.database() as connection:
            yield Reader(connection)
        return
    with ExitStack() as stack:
        readers = session.answers(lambda settings: Reader(stack.enter_context(app.connection(settings))))
        databases = session.settings.databases
        yield Readers(readers, "" if databases is None else databases.of_schedules)


def _frames(reader: Reader | Readers, interval: float) -> Iterator[Frame]:
    while True:
        began = time.monotonic()
        yield reader.read()
        took = time.monotonic() - began
        _rest(max(interval - took, took * SHARE))


def _rest(seconds: float) -> None:
    """Sleep; ends the command when its terminal has gone meanwhile."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        streams.check_reader()
        time.sleep(min(left, LOOK_EVERY_S))


def _show(session: Session, frames: Iterator[Frame], interval: float) -> None:
    if not sys.stdout.isatty():
        for frame in frames:
            _print(session, frame)
        return
    from rich.console import Console
    from rich.live import Live

    from postmill.cli.terminal.top_view import screen

    signal.signal(signal.SIGTERM, _end)
    console = Console()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for frame in frames:
            now = datetime.datetime.now(datetime.UTC)
            said = f"postmill top · {now.astimezone():%H:%M:%S} · every {interval:g} s · Ctrl-C ends"
            live.update(screen(frame, said=said, width=console.width, now=now), refresh=True)


def _end(number: int, _: object) -> NoReturn:
    """End by an exception, so that the terminal is restored; with the exit status that shells give a
    signal.
    """
    raise SystemExit(128 + number)


def _print(session: Session, frame: Frame) -> None:
    if not session.output.is_text:
        session.output.one(frame.as_dict())
    elif sys.stdout.isatty():
        from rich.console import Console

        from postmill.cli.terminal.top_view import screen

        console = Console()
        now = datetime.datetime.now(datetime.UTC)
        console.print(screen(frame, said="postmill top", width=console.width, now=now))
    else:
        from postmill.cli.terminal.top_view import lines

        for line in lines(frame):
            click.echo(line)
        sys.stdout.flush()
