"""``postmill doctor``: one line a check, each with its fix; a health check with ``-q``."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import click

from postmill.cli.exit_codes import Exit, exit_code
from postmill.cli.options import global_options, json_option, jsonl_option
from postmill.cli.terminal import log_lines
from postmill.cli.terminal import text as terminal_text
from postmill.model.errors import DatabaseUnavailable, EmbeddedError, InvalidOption, PostmillError
from postmill.model.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.cli.session import Session
    from postmill.model.config.settings import Settings

COLOURS = {"pass": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.option("--strict", is_flag=True, help="Exit with 8 when there is a warning.")
@json_option
@jsonl_option
@global_options
@click.pass_context
def doctor(context: click.Context, *, strict: bool) -> None:
    """Check the database and say how to fix what is wrong.

    With -q only what is wrong is printed: nothing at all when all is well.
    """
    session: Session = context.obj
    findings = []
    for finding, status in _examined(session):
        findings.append(finding)
        if status is not Exit.OK:
            _finish(context, session, findings, status)
    if any(finding.status == "fail" for finding in findings):
        status = Exit.SCHEMA if _failed(findings, "schema") else Exit.FAILED
    else:
        status = (
            Exit.WARNINGS if strict and any(finding.status == "warn" for finding in findings) else Exit.OK
        )
    _finish(context, session, findings, status)


def _examined(session: Session) -> Iterator[tuple[Finding, Exit]]:
    """Print each finding. Returns the exit code."""
    try:
        settings = session.settings
    except InvalidOption as error:
        yield Finding("address", "fail", f"{error.what} {error.why}", error.hint), exit_code(error)
        return
    if not session.several:
        yield from _of_one(settings)
    else:
        for name, one in session.each_settings():
            for finding, _ in (*_of_one(one), *_of_name(one, name), *_of_routes(one, name)):
                yield replace(finding, found=f"{name}: {finding.found}"), Exit.OK
    yield from _of_clusters(settings)


def _of_one(settings: Settings) -> Iterator[tuple[Finding, Exit]]:
    from postmill import app
    from postmill.db.tools import checks

    try:
        with app.bare_connection(settings) as (address, connection):
            yield Finding("address", "pass", f"{address.masked} (from {address.source})"), Exit.OK
            if settings.is_embedded:
                app.ensure_schema(settings, connection)
            for finding in checks.run(connection, address):
                yield _in_this_project(settings, finding), Exit.OK
    except (DatabaseUnavailable, EmbeddedError) as error:
        yield Finding("address", "fail", f"{error.what} {error.why}", error.hint), exit_code(error)


def _of_clusters(settings: Settings) -> Iterator[tuple[Finding, Exit]]:
    """Whether the Ray cluster can run what of this project asks for one."""
    from postmill.cli import discover, ray_check

    for finding in ray_check.findings(discover.cluster_needs(settings.project_dir.absolute())):
        yield finding, Exit.OK


def _of_name(settings: Settings, name: str) -> Iterator[tuple[Finding, Exit]]:
    """Whether the address leads to the database of that name. What keeps from asking was told before."""
    from postmill import app
    from postmill.db.reads.databases import name_of

    with suppress(PostmillError), app.bare_connection(settings) as (_, connection):
        found = name_of(connection)
        if found == name:
            yield Finding("name", "pass", "it knows its name"), Exit.OK
        elif found is None:
            yield Finding("name", "warn", "it does not know its name", "postmill migrate"), Exit.OK
        else:
            fix = f"correct the address, or, for a copy: select postmill.name_database('{name}', true)"
            yield Finding("name", "fail", f"its address leads to the database {found}", fix), Exit.OK


def _of_routes(settings: Settings, name: str) -> Iterator[tuple[Finding, Exit]]:
    """Whether messages lie there whose route leads elsewhere. What keeps from asking was told before."""
    from postmill import app
    from postmill.databases.spread import spread

    databases = settings.databases
    assert databases is not None  # noqa: S101 - it is one of several
    with suppress(PostmillError), app.connection(settings) as connection:
        looks = [spread(connection, databases, name, queue) for queue in databases.routes]
        found = [f"{look.elsewhere + look.leaving} of {look.queue}" for look in looks if look.is_displaced]
        if found:
            told = f"messages whose route leads elsewhere by now: {', '.join(found)}"
            fix = (
                "workers run them there, unless they are leaving; postmill route move QUEUE brings them home"
            )
            yield Finding("routes", "warn", told, fix), Exit.OK
        elif looks:
            yield Finding("routes", "pass", "every message is where its route leads"), Exit.OK


def _in_this_project(settings: Settings, finding: Finding) -> Finding:
    """A queue without a worker: how to run the worker or the function of this project that works on it."""
    from postmill.cli import discover
    from postmill.db.tools.waiting_checks import RUN_A_WORKER

    if RUN_A_WORKER not in finding.fix:
        return finding
    functions = settings.functions_dir.absolute()
    ways = []
    for target in discover.targets(settings.project_dir.absolute()):
        if target.queue not in finding.about:
            continue
        path = target.path.absolute()
        if path.is_relative_to(functions):
            slug = path.relative_to(functions).parts[0].removesuffix(".py")
            ways.append(f"postmill functions start {slug}")
        else:
            ways.append(f"postmill worker run {target.name}")
    return replace(finding, fix=finding.fix.replace(RUN_A_WORKER, " and ".join(ways))) if ways else finding


def _failed(findings: list[Finding], check: str) -> bool:
    return any(finding.check == check and finding.status == "fail" for finding in findings)


def _finish(context: click.Context, session: Session, findings: list[Finding], status: Exit) -> None:
    shown = [finding for finding in findings if finding.status != "pass" or not session.output.quiet]
    if session.output.is_text:
        for finding in shown:
            _print(finding)
    else:
        session.output.rows([asdict(finding) for finding in shown], ())
    context.exit(status)


def _print(finding: Finding) -> None:
    mark = f"{finding.status:<4}"
    if log_lines.may_colour(sys.stdout):
        mark = click.style(mark, fg=COLOURS[finding.status])
    click.echo(f"{mark}  {finding.check:<12}  {terminal_text.lines(finding.found)}")
    if finding.fix:
        click.echo(terminal_text.lines(f"{'':20}fix: {finding.fix}"))
