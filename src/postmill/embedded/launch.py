"""Start the supervisor as a process of its own and hear how the start went. Must not decide whether to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from postmill.embedded.account import inherit_owner
from postmill.embedded.folder import State, open_log
from postmill.model.errors import EmbeddedError

if TYPE_CHECKING:
    from postmill.embedded.folder import ControlFolder
    from postmill.embedded.supervisor_options import Options

_LARGEST_LOG = 8_000_000
"""Bytes of the server's log from which it is replaced at the next start; one old log is kept. 8 MB: ample to
find the cause of a failure, and the logs of years do not fill the disk.
"""


def start_supervisor(control: ControlFolder, options: Options) -> State:
    """Start it and return what it runs. Raises the ``EmbeddedError`` that it reports.

    A session of its own keeps a Ctrl-C in the terminal from it. ``-P`` keeps the working folder off its
    import path.
    """
    _turn_over_log(control)
    with open_log(control.log) as log:
        inherit_owner(control.log)
        starter = subprocess.run(
            [sys.executable, "-P", "-m", "postmill.embedded.supervisor", str(control.path)],
            input=options.dumps(),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": _search_path()},
            start_new_session=True,
            check=False,
        )
    return _understood(starter.stdout, control)


def _search_path() -> str:
    """The ``PYTHONPATH`` with which the supervisor finds this very package, however this process has found
    it.
    """
    ours = str(Path(__file__).parents[2])
    return os.pathsep.join(filter(None, (ours, os.environ.get("PYTHONPATH"))))


def _understood(answer: str, control: ControlFolder) -> State:
    try:
        report = json.loads(answer)
    except ValueError:
        raise EmbeddedError(
            "The embedded Postgres did not start.",
            why="Its supervisor ended without a message.",
            hint=f"Its log may say more: {control.log}",
        ) from None
    if "error" in report:
        what, why, hint = report["error"]
        raise EmbeddedError(what, why=why, hint=hint)
    return State(**report["ready"])


def _turn_over_log(control: ControlFolder) -> None:
    """Keep one earlier log, so that it can't fill the disk over the years."""
    if control.log.exists() and control.log.stat().st_size > _LARGEST_LOG:
        control.log.replace(control.log.with_suffix(".log.1"))
