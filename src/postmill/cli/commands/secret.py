"""``postmill secrets``: variables that functions get, and whose values are never shown."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from postmill.cli.options import env_file_option, global_options, json_option, jsonl_option
from postmill.model.config.settings import STATE_FOLDER
from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    from pathlib import Path

    from postmill.auth.secret_store import Secrets
    from postmill.cli.session import Session

COLUMNS = ("name", "digest")


@click.group(no_args_is_help=True)
def secrets() -> None:
    """Set, list and unset the secrets of functions."""


@secrets.command("set")
@click.argument("pairs", nargs=-1, metavar="NAME=VALUE|NAME...")
@env_file_option("Also every variable of this .env file.")
@json_option
@global_options
@click.pass_obj
def set_secrets(session: Session, pairs: tuple[str, ...], env_file: Path | None) -> None:
    """Keep secrets; functions that start from now on have them in their environment.

    A NAME alone takes its value from standard input, where no list of processes shows it.
    """
    from postmill.auth import env_file as reader

    found = reader.read(env_file) if env_file else reader.EnvFile({}, ())
    given = dict(found.values)
    unvalued = [pair for pair in pairs if "=" not in pair]
    if len(unvalued) > 1 or not (pairs or env_file):
        raise click.UsageError("Give NAME=VALUE pairs, or one NAME whose value is on standard input.")
    given |= dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    given |= {name: _from_input(name) for name in unvalued}
    _store(session).set(given)
    if found.skipped:
        session.output.note(f"Left out, as the host sets these itself: {', '.join(found.skipped)}.")
    session.output.did({"secrets": sorted(given)}, f"Kept: {', '.join(sorted(given))}.")
    session.output.note(
        "Functions that start from now on have them; for those that run: postmill functions recycle --all"
    )


@secrets.command("list")
@json_option
@jsonl_option
@global_options
@click.pass_obj
def list_secrets(session: Session) -> None:
    """List the names of the secrets, and the SHA-256 of each value."""
    rows = [asdict(each) for each in _store(session).fingerprints()]
    session.output.rows(rows, COLUMNS, empty="There is no secret.")


@secrets.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@json_option
@global_options
@click.pass_obj
def unset(session: Session, names: tuple[str, ...]) -> None:
    """Forget secrets."""
    _store(session).unset(names)
    session.output.did({"forgotten": list(names)}, f"Forgotten: {', '.join(names)}.")


@secrets.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--to", "role", required=True, metavar="ROLE", help="The role in Postgres.")
@json_option
@global_options
@click.pass_obj
def grant(session: Session, names: tuple[str, ...], role: str) -> None:
    """Let a role use secrets in its calls, as {{secret:NAME}}; their values stay out of the database."""
    from postmill.db.tools import calls

    with session.database() as connection:
        for name in names:
            calls.grant_secret(connection, name, role)
    session.output.did({"secrets": list(names), "role": role}, f"{role} may use {', '.join(names)}.")
    kept = {each.name for each in _store(session).fingerprints()}
    if unknown := [name for name in names if name not in kept]:
        session.output.note(
            f"This project keeps no secret {', '.join(unknown)}: a call with it fails where it is made, until"
            f" postmill secrets set {unknown[0]}=VALUE."
        )


@secrets.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--from", "role", required=True, metavar="ROLE", help="The role in Postgres.")
@json_option
@global_options
@click.pass_obj
def revoke(session: Session, names: tuple[str, ...], role: str) -> None:
    """Take secrets from a role: no call of its, and none of its call queues, has them from now on."""
    from postmill.db.tools import calls

    with session.database() as connection:
        for name in names:
            calls.revoke_secret(connection, name, role)
    session.output.did(
        {"secrets": list(names), "role": role}, f"{role} may not use {', '.join(names)} any more."
    )


def _store(session: Session) -> Secrets:
    from postmill.auth.secret_store import Secrets

    return Secrets(session.settings.project_dir / STATE_FOLDER)


def _from_input(name: str) -> str:
    try:
        value: str = click.prompt(name, hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.read()
    except UnicodeDecodeError as error:
        raise InvalidOption(
            f"The value of {name} is not UTF-8.", hint="Encode it, for example as base64."
        ) from error
    if not value:
        raise InvalidOption(f"Standard input has no value for {name}.")
    return value.removesuffix("\n")
