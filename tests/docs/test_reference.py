"""The reference is complete: whatever a user can name has its place in docs/reference."""

from __future__ import annotations

import ast
import re
from dataclasses import fields, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import click
import msgspec
import pytest

import postmill
from postmill.auth import environment, key_file, keys
from postmill.auth.credentials import Reason
from postmill.cli.exit_codes import Exit, exit_code
from postmill.cli.main import root
from postmill.cli.options import GLOBAL_OPTIONS
from postmill.db.tools import checks
from postmill.db.tools.facades import FACADES
from postmill.engine.settle.settlement import Settlings
from postmill.engine.settle.statements import OWN, details
from postmill.engine.worker_probe import WorkerProbe
from postmill.flows.running.run_settlings import RUNS, AwaitedStep, RunEnded, RunParked
from postmill.flows.running.settlings import STEPS, InputRefused, StepDropped, StepHeld
from postmill.gateway import platform_errors
from postmill.gateway.application import OF_THE_FUNCTION, Gateway
from postmill.gateway.flows import Flows
from postmill.gateway.platform_errors import METHODS, PlatformError
from postmill.model import errors
from postmill.model.config.settings import ENVIRONMENT, LOG_FORMATS, LOG_LEVELS, TOML_KEYS
from postmill.model.events import Event
from postmill.model.functions.failures import FunctionFailure
from postmill.model.functions.limits import PROFILES, WARNINGS, EndReason
from postmill.model.functions.settings import POLICIES
from postmill.model.functions.tables import FUNCTION_KEYS, LIMIT_KEYS, RUNTIME_KEYS
from postmill.model.queue.message import Claim, Message
from postmill.model.queue.outcome import Failed, Snooze
from postmill.model.queue.worker_options import WorkerOptions
from postmill.service.events import Events
from postmill.sql.catalog import scripts
from postmill.web.routes import RouteTable
from postmill.wire.marks import INHERITED
from tests.gateway.conftest import TRUST
from tests.gateway.stand_in import StandInHost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.engine.engine import Engine
    from postmill.model.queue.outcome import Outcome

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
TABLE = re.compile(r"create (?:unlogged )?table (postmill\.\w+)")
RENAMED = re.compile(r"^alter table (postmill\.\w+) rename to (\w+);", re.MULTILINE)
VIEW = re.compile(r"create (?:or replace )?view (\w+\.\w+)")
FUNCTION = re.compile(r"create or replace function (\w+\.\w+)")


@cache
def page(name: str) -> str:
    """One page of the reference."""
    return (REFERENCE / name).read_text(encoding="utf-8")


@cache
def whole_reference() -> str:
    """Every page."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(REFERENCE.glob("*.md")))


def commands(
    command: click.Command = root, path: str = "postmill", parent: click.Context | None = None
) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its whole name."""
    context = click.Context(command, info_name=path, parent=parent)
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None, f"{path} {name}"
        yield from commands(child, f"{path} {name}", context)


def section(text: str, command: str) -> str:
    """What the page says about one command: its own heading's section, else its line in its group's table."""
    heading = re.search(rf"^#+ {command}$(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    if heading:
        return heading[1]
    return "\n".join(line for line in text.splitlines() if line.startswith(f"| `{command}"))


def test_every_command_and_every_option_is_in_the_reference() -> None:
    text = page("cli.md")
    missing = []
    for name, command in commands():
        told = section(text, name)
        assert told, f"{name} is undocumented"
        group = section(text, name.rpartition(" ")[0])
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not set(parameter.opts) & GLOBAL_OPTIONS:
                missing += [f"{name} {word}" for word in parameter.opts if f"`{word}" not in told + group]
    assert missing == []


def test_every_global_option_is_in_the_reference() -> None:
    told = section(page("cli.md"), "Global options")
    assert [word for word in sorted(GLOBAL_OPTIONS) if f"`{word}" not in told] == []


def test_every_command_says_in_one_line_what_it_does() -> None:
    assert [name for name, command in commands() if not command.help] == []


@pytest.mark.parametrize("name", sorted(root.lazy))
def test_the_summaries_of_lazy_commands_name_commands_that_exist(name: str) -> None:
    command = root.get_command(click.Context(root), name)
    assert command is not None
    assert command.name == name


def test_every_error_code_is_in_the_reference_with_its_exit_code() -> None:
    told = page("errors.md")
    for kind in every_error():
        line = f"| `{kind.code}` | `{kind.__name__}` | {int(exit_code(kind('x')))} |"
        assert line in told, line


def every_error(
    kind: type[errors.PostmillError] = errors.PostmillError,
) -> Iterator[type[errors.PostmillError]]:
    yield kind
    for leaf in kind.__subclasses__():
        if leaf.__module__ == errors.__name__:
            yield from every_error(leaf)


def test_every_check_of_doctor_is_in_the_reference() -> None:
    told = section(page("cli.md"), "postmill doctor")
    known = ["address", *checks.CHECKS, *checks.of_schema()]
    assert [check for check in known if f"| {check} |" not in told] == []


def test_every_exit_code_is_in_the_reference() -> None:
    told = section(page("errors.md"), "Exit codes")
    assert [code for code in Exit if f"| {int(code)} |" not in told] == []


def test_every_variable_key_and_choice_is_in_the_reference() -> None:
    told = page("configuration.md")
    variables = [name for names in ENVIRONMENT.values() for name in names]
    keys = [f"[{table}] {key}" for table, keys in TOML_KEYS.items() for key in keys if key != "settings"]
    assert [
        word for word in [*variables, *keys, "[db.settings]", *LOG_LEVELS, *LOG_FORMATS] if word not in told
    ] == []


def test_every_worker_option_is_in_the_reference() -> None:
    told = page("worker-options.md")
    names = [field.name for field in fields(WorkerOptions)]
    assert [name for name in names if f"| `{name}` |" not in told] == []


def test_every_sql_function_is_in_the_reference() -> None:
    told = page("sql-functions.md")
    public = [name for name, _ in scripts("functions") if not name.startswith("_")]
    assert [name for name in public if f"`{name}(" not in told and f"`{name}`" not in told] == []


def test_internal_sql_functions_are_named_as_such() -> None:
    told = section(page("sql-functions.md"), "Internal functions")
    internal = {name for name, _ in scripts("functions") if name.startswith("_")}
    assert set(re.findall(r"`(_\w+)`", told)) == internal


def test_every_table_is_in_the_reference() -> None:
    tables = {name for _, text in scripts("migrations") for name in TABLE.findall(text)}
    renamed = dict(pair for _, text in scripts("migrations") for pair in RENAMED.findall(text))
    assert renamed.keys() <= tables
    tables = tables - renamed.keys() | {f"postmill.{name}" for name in renamed.values()}
    assert [name for name in sorted(tables) if f"`{name}`" not in page("tables.md")] == []


def test_every_view_is_in_the_reference() -> None:
    texts = [*(text for _, text in scripts("views")), *(facade.text for facade in FACADES)]
    views = {name for text in texts for name in VIEW.findall(text)}
    assert views
    told = whole_reference()
    assert [
        name
        for name in sorted(views)
        if f"`{name.removeprefix('postmill.')}`" not in told and f"`{name}`" not in told
    ] == []


def test_every_function_of_a_facade_is_in_the_reference() -> None:
    functions = {name for facade in FACADES for name in FUNCTION.findall(facade.text)}
    public = {name for name in functions if "._" not in name}
    assert {"cron.schedule", "net.http_get", "pgmq_public.pop", "vault.create_secret"} <= public
    told = page("sql-functions.md")
    assert [name for name in sorted(public) if f"`{name}(" not in told and f"`{name}`" not in told] == []


def test_every_event_is_in_the_reference() -> None:
    assert [event for event in Event if f"`{event.value}`" not in page("events.md")] == []


def test_every_event_has_the_fields_that_the_reference_names() -> None:
    documented = {event: own_fields(event) for event in Event}
    said, open_ended = fields_said()
    assert {
        event: names - documented[event] for event, names in said.items() if names - documented[event]
    } == {}
    closed = [event for event in Event if event not in open_ended]
    assert {event: documented[event] for event in closed} == {event: said[event] for event in closed}


def test_how_a_message_ends_is_said_as_the_reference_has_it() -> None:
    failed = Failed("error", "ValueError", "no", "Traceback", retry_after_s=3.0)
    assert said_of(failed) == own_fields(Event.MESSAGE_RETRYING)
    assert said_of(replace(failed, retry_after_s=None)) == own_fields(Event.MESSAGE_DEAD)
    assert said_of(replace(failed, retry_after_s=None)) == own_fields(Event.STEP_FAILED)


def test_how_a_task_of_a_flow_ends_is_said_as_the_reference_has_it() -> None:
    for outcome, event in (
        (StepDropped("over"), Event.STEP_DROPPED),
        (StepHeld("paused"), Event.STEP_HELD),
        (InputRefused("no cents"), Event.RUN_FAILED),
    ):
        settling = Settlings(OWN, STEPS).find(outcome)
        assert settling.event is event
        assert settling.details is not None
        task = replace_raw(A_MESSAGE, '{"run": 7, "flow": "shop", "step": "pay"}')
        assert set(settling.details(task, outcome)) == own_fields(event)
    assert said_of(Snooze(3)) == own_fields(Event.MESSAGE_SNOOZED)


def test_how_a_run_of_a_workflow_ends_is_said_as_the_reference_has_it() -> None:
    for outcome, event in (
        (RunEnded("failed", reason="no"), Event.RUN_FAILED),
        (RunParked((AwaitedStep("sleep"),)), Event.RUN_PARKED),
        (StepHeld("version"), Event.STEP_HELD),
    ):
        settling = Settlings(OWN, RUNS).find(outcome)
        assert settling.event is event
        assert settling.details is not None
        assert set(settling.details(replace_raw(A_MESSAGE, '{"run": 7, "wake": 0}'), outcome)) == own_fields(
            event
        )


A_MESSAGE = Message("q", 1, 1, 0, 0, "1", None, 0, 0, Claim(1, datetime.now(UTC), 0.0))


def replace_raw(message: Message, raw: str) -> Message:
    """The same message with another payload."""
    return msgspec.structs.replace(message, raw=raw)


def said_of(outcome: Outcome) -> set[str]:
    """The fields of the event that follows an outcome."""
    return set(details(A_MESSAGE, outcome)) - COMMON


def own_fields(event: Event) -> set[str]:
    """What the last column of its row names."""
    (row,) = (line for line in page("events.md").splitlines() if line.startswith(f"| `{event.value}` |"))
    return set(re.findall(r"`(\w+)`", row.rsplit("|", 2)[1]))


COMMON = {"exception", "msg_id", "attempt", "function", "execution"}


def fields_said() -> tuple[dict[Event, set[str]], set[Event]]:
    """The fields that the code gives to each event, apart from those every message has; and the events whose
    fields it puts together elsewhere.
    """
    said: dict[Event, set[str]] = {event: set() for event in Event}
    open_ended = {Event.MESSAGE_RETRYING, Event.MESSAGE_DEAD, Event.MESSAGE_SNOOZED, Event.FUNCTION_LOG}
    open_ended |= {Event.STEP_FAILED, Event.STEP_DROPPED, Event.STEP_HELD, Event.RUN_FAILED, Event.RUN_PARKED}
    for path in Path(postmill.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not call.args:
                continue
            if not re.search(r"\.(emit(_each)?|publish|_say)$", ast.unparse(call.func)):
                continue
            names = {each.arg for each in call.keywords}
            for name in re.findall(r"\bEvent\.(\w+)", ast.unparse(call.args[0])):
                event = Event[name]
                said[event] |= {each for each in names if each} - COMMON
                if None in names or ast.unparse(call.func).endswith(".publish"):
                    open_ended.add(event)
    return said, open_ended


def test_every_setting_of_functions_is_in_the_reference() -> None:
    told = page("functions.md")
    keys = {*RUNTIME_KEYS, *FUNCTION_KEYS, *LIMIT_KEYS}
    assert [key for key in sorted(keys) if f"| `{key}` |" not in told] == []
    choices = [*POLICIES, *PROFILES]
    assert [word for word in choices if f"`{word}`" not in told and f'`"{word}"`' not in told] == []


def test_every_platform_error_is_in_the_reference_with_its_status() -> None:
    told = page("functions.md")
    known = [each for each in vars(platform_errors).values() if isinstance(each, PlatformError)]
    known += [platform_errors.unauthorized(reason) for reason in Reason]
    known += [platform_errors.of_failure(kind("x")) for kind in FunctionFailure.__subclasses__()]
    assert [each.code for each in known if f"| {each.status} | `{each.code}` |" not in told] == []


CONTROL_ROUTE = re.compile(r"^\| `(GET|POST) (/[^`?]*)(?:\?[^`]*)?` \| (.*) \|$", re.MULTILINE)


def test_the_routes_of_the_host_are_those_of_the_reference() -> None:
    """Each row of the page is answered by the route of its path, with the credentials that the row says."""
    flows = Flows("postgresql:///x", TRUST)
    gateway = Gateway(StandInHost(), TRUST, max_body_bytes=1, flows=flows)
    of_functions = [each for each in gateway.routes if each.credentials == OF_THE_FUNCTION]
    others = [each for each in gateway.routes if each not in of_functions and not each.path.endswith("*")]
    rows = CONTROL_ROUTE.findall(page("functions.md"))
    assert sorted(path for _, path, _ in rows) == sorted(each.path for each in others)
    for method, path, told in rows:
        route, _ = RouteTable(gateway.routes).find(method, path)
        assert (route.path, "needs no credentials" in told) == (path, not route.credentials)
    assert {each.path.removesuffix("/*") for each in of_functions} == {"/functions/v1/<name>"}
    assert "/functions/v1/<name>/<sub/path>" in page("functions.md")
    assert [word for word in METHODS if word not in page("functions.md")] == []


def test_the_routes_of_the_probe_are_those_of_the_reference() -> None:
    engine = SimpleNamespace(on_worker=[], events=Events())
    routes = WorkerProbe(cast("Engine", engine), "127.0.0.1", 0).routes
    rows = re.findall(r"^\| `(/\w+)` \|", page("metrics.md"), re.MULTILINE)
    assert (rows, {each.methods for each in routes}) == ([each.path for each in routes], {("GET", "HEAD")})


def test_every_end_and_every_warning_is_in_the_reference() -> None:
    told = page("functions.md")
    assert [reason for reason in EndReason if f"| `{reason.value}` |" not in told] == []
    assert [word for word in WARNINGS.values() if f"`{word}`" not in told] == []


def test_every_variable_of_functions_is_in_the_reference() -> None:
    told = page("functions.md")
    given = environment.of_project("http://x", keys.make(1.0))
    variables = [*given, *key_file.ENVIRONMENT.values(), *INHERITED]
    assert [name for name in variables if f"`{name}`" not in told] == []
