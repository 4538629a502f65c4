"""Options that say when a process with workers leaves by itself, and how many of them there are."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, cast

import click

from postmill.cli.options import Duration, Whole
from postmill.model.config.lifetime import Lifetime

if TYPE_CHECKING:
    from postmill.cli.options import AnyCallable

MB = 1024 * 1024
"""Bytes in one of the megabytes that ``--max-rss`` counts: those that ps and top show, and not a million."""


def lifetime_options(command: AnyCallable) -> AnyCallable:
    """``--until-empty`` and its like. The command gets ``lifetime``."""

    @wraps(command)
    def told(
        *arguments: Any,
        until_empty: bool,
        idle_exit: float | None,
        max_runtime: float | None,
        max_messages: int | None,
        max_rss: int | None,
        **options: Any,
    ) -> Any:
        lifetime = Lifetime(
            until_empty=until_empty,
            idle_s=idle_exit,
            runtime_s=max_runtime,
            messages=max_messages,
            rss_bytes=None if max_rss is None else max_rss * MB,
        )
        return command(*arguments, lifetime=lifetime, **options)

    for option in reversed(_OPTIONS):
        told = option(told)
    return cast("AnyCallable", told)


_OPTIONS = (
    click.option("--until-empty", is_flag=True, help="End when nothing runs here and nothing is ready."),
    click.option(
        "--idle-exit",
        type=Duration(least_s=0.1),
        metavar="TIME",
        help="End when nothing has run here for so long.",
    ),
    click.option(
        "--max-runtime", type=Duration(least_s=0.1), metavar="TIME", help="End after so long at work."
    ),
    click.option(
        "--max-messages",
        type=Whole(1),
        metavar="NUMBER",
        help="End, or with --processes be replaced, after so many messages; what runs then is finished too.",
    ),
    click.option(
        "--max-rss",
        type=Whole(1),
        metavar="MB",
        help="End, or with --processes be replaced, when the process takes so much memory.",
    ),
)

processes_option = click.option(
    "--processes",
    type=Whole(1, 1024),
    metavar="NUMBER",
    help="Run so many processes, and replace those that die. SIGHUP replaces all, one after the other.",
)
