"""Command groups whose commands are imported only when they are used, so that ``--help`` stays fast.

Knows names and one-line summaries; never imports a command's module to list it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from postmill.cli.examples import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Mapping


ELSEWHERE = {
    "stop": "Ctrl-C ends dev, serve and worker run; postmill functions stop NAME stops a function.",
    "start": "postmill dev starts everything; postmill db start only the database.",
    "deploy": "There is nothing to deploy to: run postmill serve or postmill worker run on your machines.",
    "status": "postmill doctor says what is wrong, postmill top what goes on.",
    "up": "postmill dev starts everything.",
    "new": "postmill init starts a project, postmill functions new NAME a function.",
    "upgrade": "postmill migrate upgrades the schema.",
    "beat": "Nothing need be started: worker run, dev and serve fire schedules; see postmill schedule list.",
    "cron": "postmill schedule add makes what cron would have in its table.",
}
"""What to type in place of a command that other products have."""
COMMANDS = "postmill.cli.commands"
"""The package of the modules that a group names."""


GLOBAL_OPTIONS_ARE_IN = "Every command also takes the options of postmill --help."


class LazyGroup(click.Group):
    """A group that knows its commands as ``name -> (module:attribute, summary)``."""

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order in which they were declared: those that a newcomer needs come first."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command's module; None when there is no such command."""
        if cmd_name not in self.lazy:
            return None
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"{COMMANDS}.{module}"), attribute)
        _give_examples(command, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, with the nearest names of commands that were not imported."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            if (hint := ELSEWHERE.get(args[0])) is not None:
                raise click.UsageError(f"There is no command {args[0]!r}. {hint}", ctx) from error
            raise click.exceptions.NoSuchCommand(args[0], possibilities=self.lazy, ctx=ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the summaries alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self.lazy.items()])


def _give_examples(command: click.Command, path: str) -> None:
    """The end of a help text: an example, and where the options stand that every command takes."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            _give_examples(inner, f"{path} {name}")
        return
    example = EXAMPLES.get(path, "")
    command.epilog = f"\b\n{f'Example: {example}' if example else ''}\n{GLOBAL_OPTIONS_ARE_IN}"
