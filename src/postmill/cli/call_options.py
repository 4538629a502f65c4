"""Options that say what is called: the same for ``postmill calls create-queue`` and ``schedule add-call``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.cli.options import AnyCallable


def callee_options(command: AnyCallable) -> AnyCallable:
    """``--function``, ``--url``, and ``headers`` as a dict."""
    command = click.option(
        *("-H", "--header", "headers"),
        multiple=True,
        metavar="'NAME: VALUE'",
        callback=_headers,
        help="A header to send.",
    )(command)
    command = click.option("--url", metavar="URL", help="Call this URL, with exactly the given headers.")(
        command
    )
    return click.option(
        "--function", metavar="NAME", help="Call this function of the project, with its service key."
    )(command)


def check_callee(function: str | None, url: str | None) -> None:
    """Raises a usage error unless one of them is given."""
    if (function is None) == (url is None):
        raise click.UsageError("Give --function or --url.")


def _headers(_: click.Context, __: click.Parameter, texts: Sequence[str]) -> dict[str, str]:
    return dict(map(_header, texts))


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise click.UsageError(f"{text!r} is no header: write 'Accept: application/json'.")
    return name.strip(), value.strip()
