"""``postmill keys``: the credentials of this project, shown one by one by name, and keys for people."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from postmill.cli.options import Duration, global_options
from postmill.model.config.settings import STATE_FOLDER
from postmill.model.errors import DatabaseUnavailable, InvalidOption, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.auth.keys import ProjectKeys
    from postmill.cli.session import Session
    from postmill.model.config.settings import Settings

LONGEST_S = 10 * 365 * 86_400
"""How long a key is good at most, in seconds: ten years, as long as the project's own tokens."""
NAMES = ("publishable", "secret", "anon", "service_role", "jwt_secret")


@click.group(no_args_is_help=True)
def keys() -> None:
    """Show this project's keys, and make some for people and programs that watch it."""


@keys.command()
@click.argument("name", default="publishable", type=click.Choice(NAMES))
@global_options
@click.pass_obj
def show(session: Session, name: str) -> None:
    """Print the key NAME: publishable (default), secret, anon, service_role or jwt_secret.

    The first and the third are for browsers and apps; the others open everything.
    """
    click.echo(getattr(_keys(session), name))


@keys.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["reader", "operator"]),
    default="reader",
    show_default=True,
    help="A reader looks; an operator acts, too.",
)
@click.option(
    "--for",
    "life_s",
    type=Duration(needs_unit=True, least_s=60, most_s=LONGEST_S),
    default="90d",
    show_default=True,
    metavar="TIME",
    help="How long it is good.",
)
@global_options
@click.pass_obj
def create(session: Session, name: str, role: str, life_s: float) -> None:
    """Print a key to the dashboard and the API for NAME, a person or a program: the audit shows the name.

    It is kept nowhere. Its id is told beside it: postmill keys revoke takes it back by that, or by NAME.
    """
    import time

    from postmill.api.keys import ViewerKeys
    from postmill.auth import viewer_token

    known = _keys(session)
    key = viewer_token.issue(known, name, role, time.time(), life_s)
    click.echo(key)
    issued = ViewerKeys(known, time.time).issued(key)
    if issued is not None:
        session.output.note(
            f"Its id is {issued.key_id}; to take it back: postmill keys revoke {issued.key_id}"
        )


@keys.command()
@click.argument("key")
@global_options
@click.pass_obj
def revoke(session: Session, key: str) -> None:
    """Take back the issued key KEY: itself, its id, or the name of those whose keys all are to go.

    What it has opened is closed at once. Other keys stay, also those that the name is given later.
    """
    import time

    from postmill import app
    from postmill.api.keys import ViewerKeys
    from postmill.db.tools import revoked_keys

    if not key.strip():
        raise InvalidOption(
            "No key is named.", hint="Give the key, its id, or the name that it was issued to."
        )
    issued = ViewerKeys(_keys(session), time.time).issued(key)
    subject = issued.key_id if issued is not None else key

    def take_back(settings: Settings) -> None:
        with app.connection(settings) as connection:
            revoked_keys.revoke(connection, subject, time.time())

    _in_each(session, take_back)
    which = "" if issued is not None else " (every key that was issued under this id or name until now)"
    session.output.note(f"Revoked: {subject}{which}")


def _in_each(session: Session, take_back: Callable[[Settings], None]) -> None:
    """Each of several databases is asked by itself whether a key holds. Raises ``DatabaseUnavailable`` when
    one is left out: what was done in the others stays.
    """
    done = session.answers(take_back)
    missing = ", ".join(name for name in session.several if name not in done)
    if missing:
        raise DatabaseUnavailable(
            f"Revoked in {', '.join(done)}, and not in {missing}.",
            why="Its pages are still open to the key.",
            hint="Give the same command again when it answers.",
        )


def _keys(session: Session) -> ProjectKeys:
    from postmill.auth import key_file

    found = key_file.load(session.settings.project_dir / STATE_FOLDER, os.environ)
    if found is None:
        raise NotFound("This project has no keys yet.", hint="postmill init or postmill dev makes them.")
    return found
