"""``postmill dev``: database, schema, functions and workers in one terminal, reloading on change.

Functions and workers run in two child processes, ``postmill serve`` and ``postmill worker run``; this one
holds the database, watches and waits. It imports none of the user's code.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from postmill.cli.dev_child import Child
from postmill.cli.options import calls_option, global_options, probe_options, schedules_option
from postmill.model.config.project_file import FILE_NAME
from postmill.service.stop_requests import interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from postmill.cli.discover import Target
    from postmill.cli.session import Session
    from postmill.host.watching import Watch
    from postmill.model.config.address import Address

VARIABLES = ".env"
"""The file of variables, in the folder of functions."""
STOP_GRACE_S = 10
"""After a file has changed, the old workers may finish what they run for this long, in seconds; then they are
killed. 10 s: the developer is waiting for the change, and what is cut off comes back to the queue.
"""


@click.command()
@click.argument("path", default=None, required=False, type=click.Path(path_type=Path))
@click.option("--no-reload", is_flag=True, help="Do not watch the files.")
@schedules_option
@calls_option
@probe_options
@global_options
@click.pass_obj
def dev(session: Session, path: Path | None, *, no_reload: bool, probe: tuple[str, int] | None) -> None:
    """Run everything for development: database, schema, and the functions and workers found in PATH.

    PATH is a file or a folder (default: the project's). Functions are in its folder named functions, or it is
    that folder. A changed Python file replaces its function, or restarts the workers; what they were running
    is finished first, or comes back. Ctrl-C drains and stops; twice forces.
    """
    from postmill import app
    from postmill.cli import project_lock
    from postmill.cli.terminal import log_lines, streams

    streams.keep_running()
    settings = session.settings
    log_lines.configure(settings.log_level, settings.log_format, development=True)
    place = path or settings.project_dir
    with (
        app.database(settings) as address,
        project_lock.held(settings.project_dir, "dev", address.masked),
    ):
        if not app.prepare_once_up(settings, address):
            return
        development = _Development(session, place, address, probe)
        with interrupted(development.stop, development.stopping.is_set):
            session.tell_database(settings, address)
            development.run(reload=not no_reload)


class _Development:
    """The child processes, and what makes them start again."""

    def __init__(
        self, session: Session, place: Path, address: Address, probe: tuple[str, int] | None
    ) -> None:
        """``probe``: its host and port. The functions have it, or the workers where there are none."""
        self.session = session
        self.place = place
        self.address = address
        self.functions: Path | None = None
        """The folder of functions; None as long as there is none."""
        self.functions_files: Watch | None = None
        """The files of functions and settings, as they were at the last start of the function host."""
        self.probe = [] if probe is None else ["--probe-host", probe[0], "--probe-port", str(probe[1])]
        """The options of the probe, for the child that has it."""
        self.workers_child = Child("the workers")
        self.functions_child = Child("the functions")
        self.calls_child = Child("what makes calls")
        self.dashboard_child = Child("the dashboard")
        self.children = (self.functions_child, self.workers_child, self.calls_child, self.dashboard_child)
        self.stopping = threading.Event()

    def run(self, *, reload: bool) -> None:
        """Until :meth:`stop`."""
        try:
            self._serve_if_any(reload=reload)
            if self.functions is None:
                self._make_calls()
            self._start_workers()
            self._serve_dashboard()
            if reload:
                self._watch()
            else:
                self._wait()
        finally:
            self._end()

    def _end(self) -> None:
        """End both children, also after an error, and also one that was being started when the signal
        came.
        """
        for child in self.children:
            child.terminate_once()
        for child in self.children:
            child.wait()

    def stop(self) -> None:
        """Ask for the end, in good order. Each request is passed on once: the first drains, a second one
        forces.
        """
        self.stopping.set()
        for child in self.children:
            child.terminate()

    def _serve_if_any(self, *, reload: bool) -> None:
        folder = self.functions = _functions_in(self.place, self.session.settings.runtime.folder)
        if folder is None:
            return
        self.calls_child.end(STOP_GRACE_S)  # from now on the host makes them, which knows its functions
        arguments = [str(folder), "--project", str(self.session.settings.project_dir)]
        arguments += ["--reload"] if reload else []
        arguments += ["--optional-env-file", str(folder / VARIABLES)]
        arguments += self.probe if not self.workers_child.runs else []
        self.functions_files = self._watch_of_functions()
        self.functions_child.start(["serve", *arguments], self._environment())

    def _make_calls(self) -> None:
        """Without functions no other child makes them."""
        from postmill import app

        if self.session.settings.makes_calls and app.can_make_calls():
            project = str(self.session.settings.project_dir)
            self.calls_child.start(["calls", "run", "--project", project], self._environment())

    def _serve_dashboard(self) -> None:
        """In a process of its own, which stays while functions come and go. It prints a link to sign in."""
        settings = self.session.settings
        if settings.dashboard.serve:
            self.dashboard_child.start(
                ["dashboard", "--project", str(settings.project_dir)], self._environment()
            )

    def _watch_of_functions(self) -> Watch:
        """Begin to watch what the function host needs for its start."""
        from postmill.host.watching import Watch

        return Watch(lambda: [self.session.settings.project_dir / FILE_NAME, *filter(None, [self.functions])])

    def _start_workers(self) -> None:
        from postmill.cli import discover

        problems: discover.Problems = {}
        found = discover.targets(self.place, leave_out=self.functions, problems=problems)
        for path, problem in problems.items():
            self.session.output.note(f"{os.path.relpath(path)} {problem}")
        if found:
            names = [target.name for target in found]
            self.session.output.note("Workers: " + ", ".join(names))
            probe = self.probe if self.functions is None else []
            project = ["--project", str(self.session.settings.project_dir)]
            self.workers_child.start(["worker", "run", *names, *probe, *project], self._environment(found))
        elif self.functions is None and not problems:
            self.session.output.note(
                f"No worker in {self.place} yet: postmill init makes an example. Waiting."
            )

    def _environment(self, found: Sequence[Target] = ()) -> dict[str, str]:
        """The children's environment. It holds the address, because every user of the machine can read a
        command line.
        """
        environment = dict(os.environ)
        settings = self.session.settings
        environment |= self._database()
        environment["POSTMILL_LOG_LEVEL"] = settings.log_level
        environment["POSTMILL_LOG_FORMAT"] = settings.log_format
        environment["POSTMILL_SCHEDULES"] = "on" if settings.fires_schedules else "off"
        environment["POSTMILL_CALLS"] = "on" if settings.makes_calls else "off"
        environment["POSTMILL_DASHBOARD"] = "off"  # functions serve none: the child of its own does
        if settings.call_addresses is None:  # what a developer calls runs on this machine too
            environment["POSTMILL_CALL_ADDRESSES"] = "any"
        roots = [str(root) for root in dict.fromkeys(target.root for target in found)]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [*roots, os.environ.get("PYTHONPATH")]))
        return environment

    def _database(self) -> dict[str, str]:
        """Which database the children work on: of several they read the addresses themselves."""
        settings = self.session.settings
        if settings.databases is None:
            listen = self.address.direct_url
            return {"POSTMILL_DB_URL": self.address.url} | ({"POSTMILL_LISTEN_URL": listen} if listen else {})
        return {"POSTMILL_DATABASE": settings.database or ""} if settings.is_chosen else {}

    def _watch(self) -> None:
        for changed in _changes(self.place, self.stopping):
            if self.functions is None and not self.stopping.is_set():
                self._serve_if_any(reload=True)
            if not changed:
                self._revive()
            elif not self.stopping.is_set():
                self._follow(changed)

    def _follow(self, changed: set[Path]) -> None:
        """Functions follow their files by themselves; workers are started again."""
        ours = self.functions
        others = {path for path in changed if ours is None or not path.is_relative_to(ours.absolute())}
        if others:
            shown = ", ".join(sorted(os.path.relpath(path) for path in others))
            self.session.output.note(f"Changed: {shown}. Restarting the workers.")
            self.workers_child.end(STOP_GRACE_S)
            self._start_workers()

    def _revive(self) -> None:
        """Start a child again that was killed. A child that ended by itself waits for a changed file."""
        for child in self.children:
            if not self.stopping.is_set() and (number := child.killed_by) is not None:
                self.session.output.note(f"Signal {number} ended {child.name}. Starting them again.")
                child.start_again()
        files, host = self.functions_files, self.functions_child
        if files is not None and not self.stopping.is_set() and not host.runs and files.changed():
            host.start_again()

    def _wait(self) -> None:
        while not self.stopping.wait(0.2):
            if not (self.functions_child.runs or self.workers_child.runs):
                return


def _functions_in(place: Path, name: str) -> Path | None:
    """The folder of functions that ``place`` is or has."""
    inside = place / name
    if inside.is_dir():
        return inside
    return place if place.is_dir() and place.absolute().name == Path(name).name else None


def _changes(place: Path, stopping: threading.Event) -> Iterator[set[Path]]:
    """The files that changed, a moment after the last change; at each look without a change an empty set."""
    from postmill.host.watching import Watch

    watched = place if place.is_dir() else place.parent
    watch = Watch(lambda: [watched.absolute()])
    together: set[Path] = set()
    while not stopping.wait(watch.pause_s):
        found = watch.changed()
        together |= {path for path in found if path.suffix == ".py"}
        if not found:
            yield together
            together = set()
