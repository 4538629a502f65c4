"""``postmill completion``: what a shell needs to complete commands, options and names."""

from __future__ import annotations

import click

from postmill.cli.options import global_options

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@global_options
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that has SHELL complete commands, options, and names of queues, functions and workers.

    bash reads it from ~/.local/share/bash-completion/completions/postmill, zsh from a folder of its fpath
    under the name _postmill, fish from ~/.config/fish/completions/postmill.fish.
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    if made is not None:
        root = context.find_root()
        click.echo(made(root.command, {}, "postmill", "_POSTMILL_COMPLETE").source())
