"""``postmill dashboard``: the pages and the API of a project, in this process."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from postmill.cli.options import Whole, embedded_option, global_options

if TYPE_CHECKING:
    from postmill.cli.session import Session
    from postmill.model.config.address import Address
    from postmill.model.config.settings import Settings


@click.command()
@click.option("--host", metavar="HOST", help="Where to listen (default: 127.0.0.1).")
@click.option(
    "--port", type=Whole(0, 65_535), metavar="PORT", help="Default: 54320, or a free one; 0 takes a free one."
)
@click.option("--read-only", is_flag=True, help="Show, and change nothing.")
@click.option(
    "--redact", multiple=True, metavar="NAME", help="Leave out what stands under NAME, too; may be repeated."
)
@embedded_option
@global_options
@click.pass_obj
def dashboard(
    session: Session,
    *,
    host: str | None,
    port: int | None,
    read_only: bool,
    redact: tuple[str, ...],
    embedded: bool,
) -> None:
    """Serve the dashboard and the API until Ctrl-C or SIGTERM.

    Prints a link that signs in once. Others sign in with the project's secret key: postmill keys show secret.
    postmill serve and postmill dev serve it too.
    """
    from postmill import app
    from postmill.cli import dev_child
    from postmill.cli.terminal import log_lines, streams

    streams.keep_running()
    streams.print_at_once()
    is_child = dev_child.end_with_parent()
    settings = session.settings
    chosen = replace(
        settings.dashboard,
        host=host or settings.dashboard.host,
        port=settings.dashboard.port if port is None else port,
        read_only=read_only or settings.dashboard.read_only,
        redact=(*settings.dashboard.redact, *redact),
    )
    settings = replace(settings, dashboard=chosen)
    log_lines.configure(settings.log_level, settings.log_format, development=is_child)
    app.check_database_is_named(settings, embedded=embedded)
    with app.database(settings) as where:
        if not _prepared(session, settings, where):
            return
        if not is_child:
            for _, each in session.each_settings():
                session.tell_database(each, each.address or where)
        app.run_dashboard(settings, where, lambda link: session.output.note(f"Dashboard: {link}"))


def _prepared(session: Session, settings: Settings, where: Address) -> bool:
    """Whether there is something to show: of several databases one is enough, and its pages name the others
    that are away.
    """
    from postmill import app

    if not session.several:
        return app.prepare_once_up(settings, where)
    session.answers(lambda each: app.prepare(each, each.address or where))
    return True
