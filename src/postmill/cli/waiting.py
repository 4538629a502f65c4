"""Waiting for the result of a message on the command line, for ``postmill send --wait``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from postmill.cli.session import Session


def check_waiting(*, wait: bool, timeout_s: float | None, source: str | None) -> None:
    """Check the arguments before anything is sent."""
    if timeout_s is not None and not wait:
        raise click.UsageError("--timeout is for --wait.")
    if wait and source is not None:
        raise click.UsageError("--wait is for one message: give the JSON as an argument, not with --file.")


def print_result(session: Session, queue: str, msg_id: int, timeout_s: float | None) -> None:
    """Wait for the message and print what its handler returned; nothing when that was not kept. Raises what
    ``Client.result`` raises of other ends.
    """
    from postmill import app
    from postmill.cli.terminal import text as terminal_text
    from postmill.client import Client
    from postmill.model.errors import ResultNotKept

    answer: dict[str, Any] = {"msg_id": msg_id}
    session.output.note(f"Sent message {msg_id} to {queue}; waiting for its result.")
    with app.database(session.settings) as where, Client(where.url) as client:
        try:
            answer["result"] = client.result((queue, msg_id), timeout=timeout_s)
        except ResultNotKept as completed:
            session.output.note(str(completed))
    if not session.output.is_text:
        session.output.one(answer)
    elif "result" in answer:
        click.echo(terminal_text.encoded(answer["result"]))
