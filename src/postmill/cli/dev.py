"""``postmill dev``: database, schema and workers in one terminal, reloading on change.

The workers run in a child process (``postmill worker run``) that is replaced when a file changes; this one
holds the database, watches and waits. It imports none of the user's code.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from postmill.cli.options import global_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.cli.discover import Target
    from postmill.cli.session import Session
    from postmill.model.address import Address

LOOK_EVERY_MS = 1000
"""How often to see whether the workers still run."""
STOP_GRACE_S = 10
"""How long the old workers may finish what they run when a file changed; then they are killed."""


@click.command()
@click.argument("path", default=None, required=False, type=click.Path(path_type=Path))
@click.option("--no-reload", is_flag=True, help="Do not watch the files.")
@global_options
@click.pass_obj
def dev(session: Session, path: Path | None, *, no_reload: bool) -> None:
    """Run everything for development: database, schema and the workers found in PATH.

    PATH is a file or a folder (default: the project's). A change of a Python file under it restarts the
    workers; what they were running is finished first, or comes back. Ctrl-C drains and stops; twice forces.
    """
    from postmill import app
    from postmill.cli import dev_lock

    settings = session.settings
    place = path or settings.project_dir
    with app.database(settings) as address, dev_lock.held(settings.project_dir, address.masked):
        app.prepare(settings, address)
        session.output.note(
            f"Postmill: database {address.masked}" + (" (embedded)" if settings.is_embedded else "")
        )
        _Development(session, place, address).run(reload=not no_reload)


class _Development:
    """The child process with the workers, and what makes it start again."""

    def __init__(self, session: Session, place: Path, address: Address) -> None:
        self.session = session
        self.place = place
        self.address = address
        self.child: subprocess.Popen[bytes] | None = None
        self.stopping = threading.Event()

    def run(self, *, reload: bool) -> None:
        """Until Ctrl-C or SIGTERM."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)
        self._start()
        try:
            if reload:
                self._watch()
            else:
                self._wait()
        finally:
            if self.child is not None:
                self.child.wait()

    def _stop(self, _number: int, _frame: Any) -> None:
        """Each signal is passed on once: the first drains the workers, a second one forces them."""
        self.stopping.set()
        if self.child is not None:
            self.child.terminate()

    def _start(self) -> None:
        from postmill.cli import discover

        found = discover.targets(self.place)
        if not found:
            self.session.output.note(
                f"No worker in {self.place} yet: postmill init makes an example. Waiting."
            )
            return
        self.session.output.note("Workers: " + ", ".join(target.name for target in found))
        # A process group of its own: Ctrl-C reaches this process alone, which passes it on.
        self.child = subprocess.Popen(
            _command(found), env=self._environment(found), stdin=subprocess.DEVNULL, process_group=0
        )

    def _environment(self, found: list[Target]) -> dict[str, str]:
        """The address goes by the environment: a command line can be read by every user of the machine."""
        environment = dict(os.environ)
        settings = self.session.settings
        environment |= {"POSTMILL_DB_URL": self.address.url, "POSTMILL_LOG_LEVEL": settings.log_level}
        environment["POSTMILL_LOG_FORMAT"] = settings.log_format
        if self.address.direct_url:
            environment["POSTMILL_LISTEN_URL"] = self.address.direct_url
        roots = [str(root) for root in dict.fromkeys(target.root for target in found)]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [*roots, os.environ.get("PYTHONPATH")]))
        return environment

    def _watch(self) -> None:
        for changed in _changes(self.place, self.stopping):
            if not changed:
                self._revive()
                continue
            self.session.output.note(f"Changed: {', '.join(sorted(changed))}. Restarting the workers.")
            self._end_child()
            if not self.stopping.is_set():
                self._start()

    def _revive(self) -> None:
        """Start workers again that were killed; those that ended by themselves wait for a changed file."""
        if self.child is None or self.stopping.is_set():
            return
        ending = self.child.poll() or 0
        if ending < 0:
            self.session.output.note(f"Signal {-ending} ended the workers. Starting them again.")
            self._start()

    def _end_child(self) -> None:
        if self.child is None:
            return
        self.child.terminate()
        try:
            self.child.wait(STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.child = None

    def _wait(self) -> None:
        while not self.stopping.wait(0.2):
            if self.child is None or self.child.poll() is not None:
                return


def _changes(place: Path, stopping: threading.Event) -> Iterator[set[str]]:
    """The files that changed, as they change; every second without a change an empty set."""
    from watchfiles import PythonFilter, watch

    watched = place if place.is_dir() else place.parent
    for changes in watch(
        watched,
        watch_filter=PythonFilter(),
        stop_event=stopping,
        raise_interrupt=False,
        rust_timeout=LOOK_EVERY_MS,
        yield_on_timeout=True,
    ):
        yield {os.path.relpath(path) for _, path in changes}


def _command(found: list[Target]) -> list[str]:
    return [sys.executable, "-m", "postmill.cli.main", "worker", "run", *(target.name for target in found)]
