"""Options that say which release of a program runs, and whether it takes the place of the older ones."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, cast

import click

from postmill.model.config.release import Release

if TYPE_CHECKING:
    from postmill.cli.options import AnyCallable
    from postmill.model.config.release import Place


def release_options(command: AnyCallable) -> AnyCallable:
    """``--release``, ``--replace`` and ``--replace-here``. The command gets ``release``."""

    @wraps(command)
    def told(*arguments: Any, label: str | None, replace: bool, replace_here: bool, **options: Any) -> Any:
        if replace and replace_here:
            raise click.UsageError("--replace and --replace-here exclude each other.")
        place: Place = "everywhere" if replace else "here" if replace_here else "nowhere"
        return command(*arguments, release=Release(label=label, replaces=place), **options)

    for option in reversed(_OPTIONS):
        told = option(told)
    return cast("AnyCallable", told)


_OPTIONS = (
    click.option(
        "--release",
        "label",
        metavar="LABEL",
        help="Which release of your program this is: a tag or a commit.",
    ),
    click.option("--replace", is_flag=True, help="Once at work, have workers of older releases drain."),
    click.option("--replace-here", is_flag=True, help="The same, but only those on this machine."),
)
