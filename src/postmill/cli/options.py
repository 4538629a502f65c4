"""Options that several commands share. The global ones are taken before and after the command's name."""

from __future__ import annotations

import math
import re
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import click

from postmill.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorator = Callable[["AnyCallable"], "AnyCallable"]

AnyCallable = TypeVar("AnyCallable", bound="Callable[..., Any]")


def _session(context: click.Context) -> Session:
    return context.ensure_object(Session)


def _remember(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None and parameter.name:
        _session(context).options[parameter.name] = value


def _project(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        _session(context).project = value


def _debug(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        _session(context).debug = True


def _quiet(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        _session(context).output.quiet = True


def _format(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and parameter.name:
        _session(context).output.choose(parameter.name)


def global_options(function: AnyCallable) -> AnyCallable:
    """``--db-url``, ``--project`` and the others, on every command. ``postmill --help`` explains them."""
    return _added(function, hidden=True)


def shown_global_options(function: AnyCallable) -> AnyCallable:
    """The same, in the help text as well."""
    return _added(function, hidden=False)


def _added(function: AnyCallable, *, hidden: bool) -> AnyCallable:
    for names, attributes in reversed(_GLOBAL.items()):
        option = click.option(*names, expose_value=False, hidden=hidden, **attributes)
        function = option(function)
    return function


_GLOBAL: dict[tuple[str, ...], dict[str, Any]] = {
    ("--db-url",): {
        "metavar": "URL",
        "callback": _remember,
        "help": "Database address, postgresql://user:password@host:5432/database. Better in POSTMILL_DB_URL.",
    },
    ("--data",): {
        "metavar": "DIR",
        "callback": _remember,
        "help": "Folder of the embedded Postgres (default: .postmill in the project).",
    },
    ("--database",): {
        "metavar": "NAME",
        "callback": _remember,
        "help": "Which of the databases in postmill.toml (default: the main one).",
    },
    ("--project",): {
        "metavar": "DIR",
        "callback": _project,
        "help": "Project folder (default: the nearest with a postmill.toml, else this one).",
    },
    ("--debug",): {"is_flag": True, "callback": _debug, "help": "Add the traceback to an error."},
    ("-q", "--quiet"): {"is_flag": True, "callback": _quiet, "help": "Only data and errors, no notes."},
}

GLOBAL_OPTIONS = frozenset(name for names in _GLOBAL for name in names)
"""The names of the global options, for lists of a command's own options."""

json_option = click.option(
    "--json", is_flag=True, expose_value=False, callback=_format, help="Print one JSON document."
)
jsonl_option = click.option(
    "--jsonl", is_flag=True, expose_value=False, callback=_format, help="Print one JSON object a line."
)


class Duration(click.ParamType[Any]):
    """A length of time, in seconds: a number with ``s``, ``min`` (or ``m``), ``h``, ``d`` or ``w``."""

    name = "duration"
    _UNITS: ClassVar[dict[str, float]] = {
        "s": 1,
        "m": 60,
        "min": 60,
        "h": 3600,
        "d": 86_400,
        "w": 604_800,
    }

    def __init__(self, *, least_s: float = 0, most_s: float = math.inf, needs_unit: bool = False) -> None:
        """A number alone is seconds, but not where it ``needs_unit``: what deletes guesses nothing."""
        self._least_s, self._most_s, self._needs_unit = least_s, most_s, needs_unit

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Fails with a usage error that names the units."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+) ?([a-z]*)", str(value).strip())
        unit = (found[2] if found else "") or ("" if self._needs_unit else "s")
        if found is None or unit not in self._UNITS:
            self.fail(f"{value!r} is no length of time: write 90s, 15min, 12h, 30d or 2w.", param, ctx)
        seconds = float(found[1]) * self._UNITS[unit]
        if not self._least_s <= seconds <= self._most_s:
            self.fail(f"{value!r} is not {self._bounds()}.", param, ctx)
        return seconds

    def _bounds(self) -> str:
        least = _said(self._least_s)
        return f"{least} or more" if math.isinf(self._most_s) else f"{least} to {_said(self._most_s)}"


def _said(seconds: float) -> str:
    days = seconds / 86_400
    return f"{days:.0f}d" if days >= 100 and days.is_integer() else f"{seconds:g}s"


class Whole(click.IntRange):
    """A whole number within bounds. Its name is what an error says that the value is not."""

    name = "whole number"


ID = Whole(0, 2**63 - 1)
"""An id that the database can hold: a larger one would be its error, in its words."""


class Moment(click.ParamType[Any]):
    """A moment in ISO 8601: with a date and a time zone, or in the reader's own zone, or a time of today."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Fails with a usage error that shows the form."""
        from datetime import datetime, time

        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            try:
                found = datetime.combine(datetime.now().astimezone().date(), time.fromisoformat(value))
            except ValueError:
                self.fail(f"{value!r} is no moment: write 2030-01-31T09:00+01:00, or 09:00.", param, ctx)
        return found if found.tzinfo else found.astimezone()


def env_file_option(help_text: str) -> Callable[[AnyCallable], AnyCallable]:
    """``--env-file FILE``: a file of NAME=value lines."""
    return click.option(
        "--env-file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="FILE",
        help=help_text,
    )


def probe_options(command: AnyCallable) -> AnyCallable:
    """``--probe-port`` and ``--probe-host``: where the process tells of itself. The command gets ``probe``:
    the host and the port; None without a probe.
    """

    @wraps(command)
    def told(*arguments: Any, probe_port: int | None, probe_host: str, **options: Any) -> Any:
        probe = None if probe_port is None else (probe_host, probe_port)
        return command(*arguments, probe=probe, **options)

    port = click.option(
        "--probe-port",
        type=Whole(0, 65_535),
        metavar="PORT",
        help="Answer /live, /ready and /metrics over HTTP; 0 takes a free port.",
    )
    host = click.option(
        "--probe-host",
        default="127.0.0.1",
        show_default=True,
        metavar="HOST",
        help="Where the probe listens.",
    )
    return cast("AnyCallable", port(host(told)))


schedules_option = click.option(
    "--schedules",
    type=click.Choice(["on", "off"]),
    expose_value=False,
    callback=_remember,
    help="Whether this process fires schedules (default: on).",
)
calls_option = click.option(
    "--calls",
    type=click.Choice(["on", "off"]),
    expose_value=False,
    callback=_remember,
    help="Whether this process makes calls (default: on).",
)
embedded_option = click.option(
    "--embedded", is_flag=True, help="Without an address: use the project's own Postgres, and make one."
)
yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Only say what would be done, and to how many.")
limit_option = click.option(
    "--limit", type=Whole(1, 100_000), default=100, show_default=True, help="The most rows to print."
)
