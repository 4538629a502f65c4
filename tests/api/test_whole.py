"""Every list and action of the command line has its resource."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec import structs

from postmill.api import resources
from postmill.api.document import document
from postmill.api.route import RESOURCES
from postmill.api.shape import Payload
from postmill.cli.main import root

if TYPE_CHECKING:
    from collections.abc import Iterator

_ = resources

RESOURCE_OF = {
    "audit list": "list_audit",
    "calls list": "list_calls",
    "calls show": "show_call",
    "dead discard": "discard_dead_letters",
    "dead list": "list_dead_letters",
    "dead replay": "replay_dead_letters",
    "dead show": "show_dead_letter",
    "doctor": "list_findings",
    "error ignore": "decide_error",
    "error list": "list_errors",
    "error reopen": "decide_error",
    "error resolve": "decide_error",
    "error retry": "retry_error",
    "error show": "show_error",
    "flow graph": "show_flow",
    "flow list": "list_flows",
    "flow show": "show_flow",
    "functions list": "list_functions",
    "functions recycle": "recycle_function",
    "functions start": "start_function",
    "functions stop": "stop_function",
    "index list": "list_search_indexes",
    "message cancel": "cancel_messages",
    "message list": "list_messages",
    "message move": "start_operation",
    "message retry": "retry_messages",
    "message search": "search_messages",
    "message show": "show_message",
    "message why": "show_message",
    "operation abort": "abort_operation",
    "operation list": "list_operations",
    "operation show": "show_operation",
    "queue create": "create_queue",
    "queue drop": "drop_queue",
    "queue limit": "limit_queue",
    "queue list": "list_queues",
    "queue pause": "pause_queue",
    "queue priority": "enable_priority",
    "queue purge": "purge_queue",
    "queue resume": "resume_queue",
    "queue retention": "set_retention",
    "queue show": "show_queue",
    "run approve": "approve_run",
    "run cancel": "cancel_run",
    "run export": "export_run",
    "run fork": "fork_run",
    "run import": "import_run",
    "run list": "list_runs",
    "run pause": "pause_run",
    "run result": "show_run",
    "run resume": "resume_run",
    "run retry": "retry_run",
    "run show": "show_run",
    "run signal": "signal_run",
    "run start": "start_run",
    "run watch": "list_run_changes",
    "schedule list": "list_schedules",
    "schedule next": "show_next_ticks",
    "schedule pause": "pause_schedule",
    "schedule remove": "remove_schedule",
    "schedule resume": "resume_schedule",
    "schedule run": "run_schedule",
    "schedule runs": "list_schedule_runs",
    "schedule show": "show_schedule",
    "send": "send_message",
    "top": "show_overview",
    "worker drain": "drain_worker",
    "worker list": "list_workers",
}
WITHOUT = {
    "bench": "measures a database from outside",
    "calls create-queue": "is part of a deployment; its headers may hold keys",
    "calls run": "is a process",
    "completion": "is for a shell",
    "db": "is about the server of this machine",
    "dashboard": "is a process",
    "dev": "is a process",
    "docs": "prints a page",
    "flow diff": "is made of two flows that are shown",
    "flow run": "needs the program",
    "functions delete": "changes files of this machine",
    "functions new": "changes files of this machine",
    "functions serve": "is a process",
    "import": "reads another database",
    "index create": "takes longer than a request may, and needs the owner of the tables",
    "index drop": "needs the owner of the tables",
    "init": "changes files of this machine",
    "route": "is about several databases; the API shows one of them",
    "keys": "are what opens the API",
    "logs": "are a file of this machine",
    "metrics": "are for a scraper, in a format of its own",
    "migrate": "is done before there is an API",
    "schedule add": "belongs to the code that handles what is sent",
    "schedule add-call": "runs as the role that adds it",
    "schedule add-flow": "belongs to the code that has the flow",
    "schedule add-sql": "would let an operator run any SQL",
    "schedule work": "is a process",
    "secrets": "never leave the machine",
    "serve": "is a process",
    "worker run": "is a process",
}
"""Commands that have no resource, and why."""


def commands(group: click.Group, path: str = "") -> Iterator[str]:
    """All of the tree, by the words that are typed."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}"


def test_each_command_has_its_resource_or_a_reason() -> None:
    found = {each for each in commands(root) if each not in WITHOUT and each.split()[0] not in WITHOUT}
    assert found == set(RESOURCE_OF)
    assert set(RESOURCE_OF.values()) <= {each.name for each in RESOURCES}


def parts(kind: Any) -> Iterator[tuple[str, Any]]:
    """Each field of an answer, also of what is in it."""
    for field in structs.fields(kind):
        yield f"{kind.__name__}.{field.name}", field.type
        for inner in (field.type, *getattr(field.type, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                yield from parts(inner)


def test_whatever_may_hold_a_secret_is_marked_as_such() -> None:
    """A field that takes any JSON and is no ``Payload`` would be shown whole."""
    known = [each.out for each in RESOURCES if isinstance(each.out, type)]
    fields = {name: kind for out in known for name, kind in parts(out)}
    open_ = {name for name, kind in fields.items() if "Any" in str(kind) and Payload not in _of(kind)}
    assert open_ == set()
    assert sum(Payload in _of(kind) for kind in fields.values()) > 10


def _of(kind: Any) -> tuple[Any, ...]:
    return (kind, *getattr(kind, "__args__", ()))


def test_the_reference_lists_each_resource() -> None:
    """The table is made of what the functions say; it is written anew when this fails."""
    text = (Path(__file__).parents[2] / "docs" / "reference" / "api.md").read_text()
    found = [line for line in text.splitlines() if line.startswith("| `")]
    assert found == table()


def table() -> list[str]:
    """A line for each resource, by path."""
    operations = msgspec.json.decode(document())["paths"]
    rows = [
        f"| `{method.upper()} {path}` | {operation['summary']} |"
        for path, methods in operations.items()
        for method, operation in methods.items()
    ]
    return sorted(rows, key=lambda row: row.split()[2])
