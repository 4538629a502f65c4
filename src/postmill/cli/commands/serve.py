"""``postmill serve``: the functions of a folder over HTTP, in this process and its isolates."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from postmill.cli.options import (
    Whole,
    calls_option,
    embedded_option,
    env_file_option,
    global_options,
    probe_options,
    schedules_option,
)
from postmill.model.errors import AlreadyStarted, NotFound, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from postmill.app import Serving
    from postmill.cli.session import Session
    from postmill.model.config.address import Address
    from postmill.model.config.settings import Settings
    from postmill.model.functions.function_info import FunctionInfo


@click.command()
@click.argument("folder", default=None, required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--host", metavar="HOST", help="Where to listen (default: 127.0.0.1).")
@click.option("--port", type=Whole(0, 65_535), metavar="PORT", help="Default: 54321; 0 takes a free port.")
@click.option("--reload", is_flag=True, help="Replace a function when its files change.")
@click.option("--on-demand", is_flag=True, help="Start no function before its first request.")
@env_file_option("Give functions the variables of this .env file.")
@click.option(
    "--optional-env-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="As --env-file, but the file may come later.",
)
@schedules_option
@calls_option
@probe_options
@embedded_option
@global_options
@click.pass_obj
def serve(
    session: Session,
    folder: Path | None,
    *,
    host: str | None,
    port: int | None,
    reload: bool,
    on_demand: bool,
    env_file: Path | None,
    optional_env_file: Path | None,
    probe: tuple[str, int] | None,
    embedded: bool,
) -> None:
    """Serve the functions of FOLDER (default: functions) until Ctrl-C or SIGTERM.

    The first signal closes the port and lets what runs finish, for up to [runtime] grace_s seconds; a second
    one forces. As process 1 of a container it also reaps what is left to it.
    """
    from postmill import app
    from postmill.auth import host_proof

    settings = _with_address(session.settings, host, port)
    identity = host_proof.new_identity()
    announcement = Announcement(session, settings.project_dir, identity)
    how = app.Serving(
        folder=_existing(folder or settings.functions_dir),
        env_file=env_file or optional_env_file,
        env_file_may_come=env_file is None,
        reload=reload,
        start_all=not on_demand,
        on_listening=announcement.made,
        on_stop=announcement.stopping,
        on_dashboard=announcement.dashboard,
        identity=identity,
        probe=probe,
    )
    app.check_database_is_named(settings, embedded=embedded)
    _run(session, settings, how)


def _run(session: Session, settings: Settings, how: Serving) -> None:
    """Serve until a signal, with the log file of this project."""
    from postmill import app
    from postmill.cli import dev_child, served
    from postmill.cli.terminal import log_file, log_lines, streams
    from postmill.web.pid1 import stand_in_as_pid1

    streams.keep_running()
    is_child = dev_child.end_with_parent()
    stand_in_as_pid1()
    log_lines.configure(settings.log_level, settings.log_format, development=is_child)
    try:
        with (
            log_file.kept(settings.project_dir),
            app.database(settings) as where,
            nullcontext() if is_child else _alone(session, where),
        ):
            if not app.prepare_once_up(settings, where):
                return
            if not is_child:
                session.tell_database(settings, where)
            app.serve_functions(settings, where, how)
    finally:
        served.forget(settings.project_dir, how.identity)


@contextmanager
def _alone(session: Session, where: Address) -> Iterator[None]:
    """The only ``serve`` or ``dev`` of this project. A read-only project is served all the same."""
    from postmill.cli import project_lock

    with ExitStack() as stack:
        try:
            stack.enter_context(project_lock.held(session.settings.project_dir, "serve", where.masked))
        except AlreadyStarted:
            raise
        except Refused as error:
            session.output.note(f"Another postmill serve of this project would not be noticed: {error}")
        yield


class Announcement:
    """Prints where functions are served and how to call them, and writes that address down for other
    commands.
    """

    def __init__(self, session: Session, project: Path, identity: str) -> None:
        self._output = session.output
        self._project = project
        self._identity = identity

    def made(self, url: str, functions: Sequence[FunctionInfo]) -> None:
        """Functions can be called at ``url``."""
        from postmill.cli import served

        try:
            served.remember(self._project, url, self._identity)
        except Refused as error:  # a read-only project is served all the same
            self._output.note(f"Other commands will not find this host: {error}")
        self._output.note(f"Postmill: functions at {url}/functions/v1/")
        for function in functions:
            self._output.note(f"  {curl_line(url, function, self._project)}")
        if not functions:
            self._output.note("  none yet: postmill functions new hello")

    def dashboard(self, url: str) -> None:
        """The dashboard is served at ``url``."""
        self._output.note(f"Postmill: dashboard at {url}/ (sign in with a key: postmill keys show secret)")

    def stopping(self, forcing: bool) -> None:
        """A stop was asked for; ``forcing`` at the second time."""
        self._output.note("Forcing." if forcing else "Stopping: what runs may finish. Ctrl-C again to force.")


def curl_line(url: str, function: FunctionInfo, project: Path) -> str:
    """A line to paste into a shell that calls ``function``. It asks for the key when it runs: a key that
    was printed once stands in a log for ever.
    """
    at = f"curl {url}/functions/v1/{function.slug}"
    if not function.settings.enabled:
        return f"# {function.slug} is disabled"
    if not function.settings.verify_jwt:
        return at
    where = "" if project == Path.cwd() else f" --project {project}"
    return f'{at} -H "apikey: $(postmill keys show{where})"'


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise NotFound(f"There is no folder {folder}.", hint="postmill functions new hello makes a function.")
    return folder


def _with_address(settings: Settings, host: str | None, port: int | None) -> Settings:
    """With the options in the place of the settings."""
    runtime = settings.runtime
    changed = replace(runtime, host=host or runtime.host, port=runtime.port if port is None else port)
    return replace(settings, runtime=changed)
