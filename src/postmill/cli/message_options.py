"""Options that say what a message asks for: the same for ``postmill send`` and ``postmill schedule add``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postmill.cli.options import Duration, Whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.cli.options import AnyCallable


class Follower(click.ParamType[Any]):
    """A message to send later, as JSON."""

    name = "message"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Fails with a usage error that shows the form."""
        import msgspec

        from postmill.client.options import FOLLOWER_FIELDS, Then, known_names
        from postmill.model.errors import PostmillError
        from postmill.model.queue.payload import loads

        try:
            parts = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
            message = parts.pop("message")  # it travels as it was written
            found = {name: loads(bytes(part)) for name, part in parts.items()}
            queue = found.pop("queue")
            known_names(found, FOLLOWER_FIELDS)
            return Then(queue, message, delay=found.pop("delay_s", None), **found)
        except (PostmillError, msgspec.MsgspecError, KeyError) as error:
            said = f" {error}" if isinstance(error, PostmillError) else ""
            form = '{"queue": "emails", "message": {"to": "ada"}}'
            self.fail(f"{value} is no message: write {form}.{said}", param, ctx)


def delay_option(help_text: str) -> Callable[[AnyCallable], AnyCallable]:
    """``--delay TIME``."""
    return click.option("--delay", type=Duration(), metavar="TIME", help=help_text)


_OPTIONS: dict[tuple[str, ...], dict[str, Any]] = {
    ("-H", "--header", "headers"): {
        "multiple": True,
        "metavar": "NAME=VALUE",
        "help": "A header; may be repeated.",
    },
    ("--unique-key",): {
        "metavar": "KEY",
        "help": "Send it only when no message with this key is there.",
    },
    ("--unique-for",): {
        "type": Duration(),
        "metavar": "TIME",
        "help": "Hold the key so long: 90s, 15min, 12h.",
    },
    ("--on-conflict",): {
        "type": click.Choice(["skip", "replace", "raise"]),
        "default": "skip",
        "show_default": True,
        "help": "What to do when the key is taken.",
    },
    ("--priority",): {"type": Whole(0, 9), "metavar": "0-9", "help": "The higher the sooner."},
    ("--group", "--group-key", "group_key"): {"metavar": "KEY", "help": "The group whose limits hold."},
    ("--then-send",): {
        "type": Follower(),
        "metavar": "JSON",
        "help": "A message to send when it completes.",
    },
    ("--else-send",): {"type": Follower(), "metavar": "JSON", "help": "A message to send when it dies."},
}


def message_options(function: AnyCallable) -> AnyCallable:
    """What any message may ask for; see :func:`asked`."""
    for names, attributes in reversed(_OPTIONS.items()):
        function = click.option(*names, **attributes)(function)
    return function


def asked(given: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, as the client takes them."""
    defaults = {"on_conflict": "skip", "on_source_dead": "cancel", "after": (), "headers": ()}
    found = {name: value for name, value in given.items() if value not in {None, defaults.get(name)}}
    return {**found, "headers": _headers(found["headers"])} if "headers" in found else found


def _headers(pairs: tuple[str, ...]) -> dict[str, Any]:
    from postmill.model.errors import InvalidPayload
    from postmill.model.queue.payload import loads

    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE.", param_hint="--header")
        try:
            found[name] = loads(value)
        except InvalidPayload:
            found[name] = value
    return found
