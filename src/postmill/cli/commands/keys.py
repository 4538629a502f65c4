"""``postmill keys``: the credentials of this project, shown one by one, by name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from postmill.cli.options import global_options
from postmill.model.config.settings import STATE_FOLDER
from postmill.model.errors import NotFound

if TYPE_CHECKING:
    from postmill.cli.session import Session

NAMES = ("publishable", "secret", "anon", "service_role", "jwt_secret")


@click.group(no_args_is_help=True)
def keys() -> None:
    """Show this project's keys."""


@keys.command()
@click.argument("name", default="publishable", type=click.Choice(NAMES))
@global_options
@click.pass_obj
def show(session: Session, name: str) -> None:
    """Print the key NAME: publishable (default), secret, anon, service_role or jwt_secret.

    The first and the third are for browsers and apps; the others open everything.
    """
    from postmill.auth import key_file

    found = key_file.load(session.settings.project_dir / STATE_FOLDER, os.environ)
    if found is None:
        raise NotFound("This project has no keys yet.", hint="postmill init or postmill dev makes them.")
    click.echo(getattr(found, name))
