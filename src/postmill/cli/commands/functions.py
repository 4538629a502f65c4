"""``postmill functions``: the files of a folder of functions, and what runs of them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import click

from postmill.cli import completion
from postmill.cli.commands.serve import serve
from postmill.cli.options import global_options, json_option, jsonl_option, yes_option
from postmill.model.config.project_file import FILE_NAME
from postmill.model.errors import NotFound, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from postmill.cli.session import Session

COLUMNS = ("function", "file", "kind", "state", "instances", "verify_jwt", "why")
TEMPLATES = ("handler", "app", "stream", "background", "worker")


@click.group(no_args_is_help=True)
def functions() -> None:
    """Make, serve, list, start, recycle, stop and delete functions."""


functions.add_command(serve)


@functions.command()
@click.argument("name")
@click.option(
    "--template",
    type=click.Choice(TEMPLATES),
    default="handler",
    show_default=True,
    help="What the file begins as.",
)
@json_option
@global_options
@click.pass_obj
def new(session: Session, name: str, template: str) -> None:
    """Make the function NAME: a file in the folder of functions that works as it is."""
    from postmill.cli.function_templates import text_of
    from postmill.model.functions.slug import validated

    folder = _folder(session)
    path = folder / f"{validated(name)}.py"
    if path.exists() or (folder / name).exists():
        raise Refused(f"{name} is there already in {folder}.", why="new never overwrites.")
    folder.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text_of(template, name))
    if session.output.is_text:
        click.echo(path)
    else:
        session.output.one({"function": name, "file": path})
    session.output.note("Next: postmill dev; one that runs has it already.")


@functions.command("list")
@json_option
@jsonl_option
@global_options
@click.pass_obj
def list_functions(session: Session) -> None:
    """List the functions of this project; those that are served now with their state."""
    from postmill.cli import served

    found = _found(session)
    for fault in found.faults.values():
        session.output.note(str(fault))
    alive = served.ask(session.settings.project_dir, "GET", "functions") or []
    states = {row["function"]: row for row in alive}
    rows = [_row(slug, source, states.pop(slug, None)) for slug, source in found.sources.items()]
    rows += [{"file": None, **row} for row in states.values()]  # served from another folder
    session.output.rows(rows, COLUMNS, empty="There is no function yet: postmill functions new hello.")


@functions.command()
@click.argument("name", shell_complete=completion.functions)
@json_option
@global_options
@click.pass_obj
def start(session: Session, name: str) -> None:
    """Start the function NAME, which does not run: a worker that was stopped, or one that failed to start."""
    _tell_host(session, name, "start", session.settings.runtime.boot_timeout_s)
    session.output.did({"function": name, "started": True}, f"Started: {name}.")


@functions.command()
@click.argument("name", shell_complete=completion.functions)
@json_option
@global_options
@click.pass_obj
def stop(session: Session, name: str) -> None:
    """Stop every process of the function NAME gracefully. Its next request starts it again, or `start`."""
    _tell_host(session, name, "stop", session.settings.runtime.grace_s)
    session.output.did({"function": name, "stopped": True}, f"Stopped: {name}.")


@functions.command()
@click.argument("name", required=False, shell_complete=completion.functions)
@click.option("--all", "everything", is_flag=True, help="Every function that runs.")
@json_option
@global_options
@click.pass_obj
def recycle(session: Session, name: str | None, *, everything: bool) -> None:
    """Replace every process of the function NAME: a new one serves before the old one ends, and what that
    runs may finish. For new secrets, or new versions of what it imports.
    """
    if everything == (name is not None):
        raise click.UsageError("Give the function's name, or --all.")
    names = _running(session) if name is None else [name]
    settings = session.settings
    for each in names:
        instances = settings.functions[each].instances if each in settings.functions else 1
        _tell_host(session, each, "recycle", settings.runtime.boot_timeout_s * instances)
    told = f"Recycled: {', '.join(names)}." if names else "No function runs."
    session.output.did({"recycled": names}, told)


def _running(session: Session) -> list[str]:
    """Functions that have a process now."""
    alive = _ask_host(session, "GET", "functions")
    return [row["function"] for row in alive if row["instances"]]


@functions.command()
@click.argument("name", shell_complete=completion.functions)
@yes_option
@json_option
@global_options
@click.pass_obj
def delete(session: Session, name: str, *, yes: bool) -> None:
    """Delete the files of the function NAME, and its tables in postmill.toml."""
    found = _found(session)
    if name in found.faults:
        raise found.faults[name]
    source = found.sources.get(name)
    if source is None:
        raise NotFound(f"There is no function {name}.", hint=_near(name, found.sources))
    folder = _folder(session).absolute()
    whole = source.path.name == "main.py" and source.path.parent != folder
    target: Path = source.path.parent if whole else source.path
    session.output.confirm(f"This deletes {target}{' and all in it' if whole else ''}.", yes=yes)
    if whole:
        shutil.rmtree(target)
    else:
        target.unlink()
    is_removed = _table_is_removed(session, name)
    session.output.did({"function": name, "deleted": target, "table": is_removed}, f"Deleted: {target}.")
    if not is_removed:
        session.output.note(f"{FILE_NAME} still speaks of functions.{name}: take that out yourself.")


def _table_is_removed(session: Session, name: str) -> bool:
    from postmill.auth import private_file
    from postmill.cli import function_table

    project = session.settings.project_dir
    path = project / FILE_NAME
    if not path.is_file():
        return True
    with private_file.turn(project):
        return function_table.remove(path, name)


def _tell_host(session: Session, name: str, action: str, takes_s: float) -> None:
    """Tell the host that serves this project to do something to a function, and wait at most ``takes_s``
    seconds and a little for its answer.
    """
    try:
        _ask_host(session, "POST", f"functions/{name}/{action}", takes_s)
    except NotFound as error:
        error.hint = error.hint or _near(name, _found(session).sources)
        raise


def _near(name: str, known: Iterable[str]) -> str:
    """What to try in place of a function that is not there."""
    from postmill.model.option_rules import did_you_mean

    return did_you_mean(name, known) or "postmill functions list shows them."


def _ask_host(session: Session, method: str, path: str, takes_s: float = 0.0) -> Any:
    """What the host that serves this project answers within ``takes_s`` seconds and a little. Raises
    :class:`NotFound` when none does.
    """
    from postmill.cli import served

    answer = served.ask(session.settings.project_dir, method, path, timeout_s=takes_s + served.TIMEOUT_S)
    if answer is None:
        raise NotFound("No functions of this project are served now.", hint="postmill dev serves them.")
    return answer


def _folder(session: Session) -> Path:
    return session.settings.functions_dir


def _found(session: Session) -> Any:
    from postmill.host.discovery import survey

    return survey(_folder(session).absolute(), session.settings.runtime, session.settings.functions)


def _row(slug: str, source: Any, alive: dict[str, Any] | None) -> dict[str, Any]:
    row = {
        "function": slug,
        "file": source.path,
        "kind": None,
        "state": "not served" if source.settings.enabled else "disabled",
        "instances": 0,
        "verify_jwt": source.settings.verify_jwt,
        "why": None,
    }
    return row | (alive or {})
