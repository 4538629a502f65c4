"""The ``postmill`` command: its groups, its global options, and how it ends.

Imports nothing heavy: ``postmill --help`` is measured by ``benchmarks/startup.py``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from postmill.cli.exit_codes import Exit
from postmill.cli.lazy import LazyGroup
from postmill.cli.options import shown_global_options
from postmill.cli.session import Session
from postmill.cli.terminal import streams

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "init": ("init:init", "Start a project: postmill.toml and an example worker."),
    "dev": (
        "dev:dev",
        "Database, schema, functions and workers in one, reloading on change.",
    ),
    "serve": ("serve:serve", "Serve a folder of functions over HTTP."),
    "dashboard": ("dashboard:dashboard", "Serve the dashboard and the API."),
    "functions": (
        "functions:functions",
        "Make, serve, list, start, stop and delete functions.",
    ),
    "secrets": ("secret:secrets", "Set, list and unset the secrets of functions."),
    "keys": ("keys:keys", "Show this project's keys, and make some for people."),
    "logs": ("logs:logs", "Show and follow the log of functions."),
    "worker": ("worker:worker", "Run workers, list those that run, and have one stop."),
    "send": ("send:send", "Send messages to a queue."),
    "top": ("top:top", "Watch queues, workers and failures."),
    "metrics": ("metrics:metrics", "Print the figures of every queue for monitoring."),
    "queue": ("queue:queue", "List, create, pause, purge and drop queues."),
    "route": ("route:route", "Show where routed queues are, and bring messages home."),
    "schedule": ("schedule:schedule", "Send messages again and again."),
    "calls": ("calls:calls", "Make HTTP requests that are asked for in SQL."),
    "flow": ("flows:flow", "List, show, compare and draw flows."),
    "run": ("runs:run", "Start, watch and steer runs of flows."),
    "message": ("message:message", "List, show, retry and cancel messages."),
    "index": ("search_index:index", "List, create and drop the indexes by which searches find a value."),
    "error": ("errors:error", "List errors, decide about them, and try again what failed."),
    "operation": ("operation:operation", "List, show and abort what is done to many messages."),
    "dead": ("dead:dead", "List, show, replay and discard dead letters."),
    "audit": ("audit:audit", "List what was done through the dashboard and the API."),
    "import": ("imports:imports", "Bring over jobs and messages of another system."),
    "migrate": ("migrate:migrate", "Install or upgrade Postmill's schema."),
    "db": ("db:db", "Start, stop and open the embedded Postgres."),
    "doctor": ("doctor:doctor", "Check the database and say how to fix what is wrong."),
    "docs": ("docs:docs", "Print a page of the documentation."),
    "completion": ("completion:completion", "Have the shell complete commands and names."),
    "bench": ("bench:bench", "Measure throughput and latency on your database."),
}


class Root(LazyGroup):
    """The outermost group: every error ends here, with a message and its exit code."""

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = "postmill",
        **extra: Any,
    ) -> NoReturn:
        """Runs one command and exits with one of :class:`Exit`."""
        session = Session()
        extra |= {"standalone_mode": False, "obj": session}
        try:
            ending = super().main(args, prog_name, **extra)
            status = Exit(ending) if isinstance(ending, int) else Exit.OK
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            status = Exit.USAGE
        except (KeyboardInterrupt, click.Abort):
            click.echo("Interrupted.", err=True)
            status = Exit.INTERRUPTED
        except streams.OutputGone:
            status = Exit.OK  # a reader that has closed the pipe (head, less) is no error
        except Exception as error:
            from postmill.cli.terminal.failure import report

            status = report(error, debug=session.debug, addresses=session.addresses())
        sys.exit(status)


def _print_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        click.echo(f"postmill {version('postmill')}")
        context.exit()


@click.group(
    "postmill",
    cls=Root,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
)
@shown_global_options
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Version."
)
def root() -> None:
    """Background work for Python on one Postgres.

    Without a database address the project's own Postgres is used and started when needed.
    """


def main() -> NoReturn:
    """The console script."""
    from postmill.cli import command_line

    streams.secure()
    command_line.hide_passwords()
    root.main()


if __name__ == "__main__":
    main()
