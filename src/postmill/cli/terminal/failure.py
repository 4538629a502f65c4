"""How an error looks on stderr: what happened, why, what to try, and its code. Never shows a password."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from postmill.cli.exit_codes import Exit, exit_code
from postmill.cli.terminal import text as terminal_text
from postmill.model.config.address import mask
from postmill.model.error_text import summary_of, traceback_of
from postmill.model.errors import PostmillError

if TYPE_CHECKING:
    from collections.abc import Iterable

ISSUES = "Please report it, with what --debug shows."


def report(error: BaseException, *, debug: bool = False, addresses: Iterable[str] = ()) -> Exit:
    """Writes ``error`` to stderr and returns the exit code; ``addresses`` are those in use, to be masked."""
    what, why, hint, code, status = _described(error)
    lines = [
        f"Error: {what}",
        f"  why: {why}" if why else "",
        f"  try: {hint}" if hint else "",
        f"  code: {code}",
    ]
    if debug:
        lines.insert(0, traceback_of(error).rstrip())
    text = mask("\n".join(line for line in lines if line), *addresses)
    print(terminal_text.lines(text), file=sys.stderr)
    return status


def _described(error: BaseException) -> tuple[str, str, str, str, Exit]:
    match error:
        case PostmillError():
            return error.what, error.why, error.hint, error.code, exit_code(error)
        case FileNotFoundError() if _is_working_folder_gone():
            return "The working folder was deleted.", "", "Go to another one: cd", "not-found", Exit.NOT_FOUND
        case OSError() if error.strerror:
            where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
            return f"{where}{error.strerror}.", "The system refused it.", "", "system", Exit.FAILED
        case click.UsageError():
            return error.format_message(), "", _usage_hint(error), "usage", Exit.USAGE
        case click.ClickException():
            return error.format_message(), "", "", "usage", Exit.USAGE
        case _:
            unexpected = "Postmill did not expect this: it is a bug."
            return summary_of(error), unexpected, ISSUES, "internal", Exit.FAILED


def _is_working_folder_gone() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def _usage_hint(error: click.UsageError) -> str:
    return f"{error.ctx.command_path} --help" if error.ctx else "postmill --help"
