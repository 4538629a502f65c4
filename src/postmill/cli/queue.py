"""``postmill queue``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from postmill.cli.options import global_options, json_option

if TYPE_CHECKING:
    from postmill.cli.session import Session


@click.group(no_args_is_help=True)
def queue() -> None:
    """List, create, pause, purge and drop queues."""


@queue.command("list")
@json_option
@global_options
@click.pass_obj
def list_queues(session: Session) -> None:
    """List queues with what is in them."""
    with session.database() as connection:
        session.output.rows([], ("queue",))
