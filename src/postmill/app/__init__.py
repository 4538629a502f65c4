"""The composition root: from settings to running workers and served functions. It wires, no more."""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from postmill.app.calling import calls_beside, can_make_calls, check_calls, run_calls
from postmill.app.watching import dashboard_beside, run_dashboard
from postmill.model.calls.call_queue import FunctionHost
from postmill.model.config.project_file import FILE_NAME
from postmill.model.config.settings import STATE_FOLDER
from postmill.project.once_up import prepare_once_up
from postmill.project.project import (
    bare_connection,
    check_database_is_named,
    connection,
    database,
    ensure_schema,
    find_project,
    load_settings,
    prepare,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from postmill.auth.keys import ProjectKeys
    from postmill.engine.engine import MakeService
    from postmill.engine.handler import Handler
    from postmill.gateway.readiness import Readiness
    from postmill.gateway.serving_process import ServingProcess
    from postmill.host.configuration import Configuration
    from postmill.host.host import Host
    from postmill.model.config.address import Address
    from postmill.model.config.lifetime import Lifetime
    from postmill.model.config.release import Release
    from postmill.model.config.settings import Settings
    from postmill.model.functions.function_info import FunctionInfo
    from postmill.service.events import Events
    from postmill.web.server import WebServer

SCHEDULES_STOP_S = 2.0
"""How long a batch of schedules may take at the end of ``serve``, in seconds. A hundred take 20 ms: what
takes longer waits for a lock, and the next process fires it.
"""

__all__ = [
    "Serving",
    "bare_connection",
    "can_make_calls",
    "check_calls",
    "check_database_is_named",
    "connection",
    "database",
    "ensure_schema",
    "find_project",
    "load_settings",
    "prepare",
    "prepare_once_up",
    "run_calls",
    "run_dashboard",
    "run_schedules",
    "run_workers",
    "serve_functions",
]


def run_workers(
    settings: Settings,
    targets: Sequence[str],
    *,
    embedded: bool = False,
    on_drain: Callable[[Callable[[], int]], None] | None = None,
    on_database: Callable[[Settings, Address], None] | None = None,
    probe: tuple[str, int] | None = None,
    lifetime: Lifetime | None = None,
    release: Release | None = None,
) -> None:
    """Run workers and flows in this process until it is told to stop: those named ``module:name``, and all
    of a module or file that is named alone.

    The working folder is importable, as with ``python -m``. Outside of a project ``embedded`` asks for one's
    own Postgres when no address is given. ``on_drain`` is told how many messages still run, at a stop and
    every second; ``on_database`` where they run before they do. ``probe``: where it answers HTTP.
    ``lifetime``: when they end; ``release``: what they replace. Raises what :func:`connection` raises.
    """
    from postmill.flows.running.handlers import together  # noqa: PLC0415 - settings need no engine
    from postmill.handlers import load_all  # noqa: PLC0415
    from postmill.handlers.standalone import run_here, settings_for  # noqa: PLC0415

    sys.path[:0] = [folder for folder in (str(Path.cwd()),) if folder not in sys.path]
    workers = together(each for target in targets for each in load_all(target))
    check_database_is_named(settings_for(workers, settings), embedded=embedded)
    run_here(
        workers,
        settings,
        on_drain=on_drain,
        on_database=on_database,
        probe=probe,
        lifetime=lifetime,
        release=release,
        services=partial(_beside_workers, settings),
    )


def _beside_workers(
    settings: Settings, database: str | None, handlers: Sequence[Handler]
) -> list[MakeService]:
    """What runs beside handlers: in ``database`` of several, or in the only one."""
    from postmill.flows.running.keeper import keepers  # noqa: PLC0415 - settings need no engine
    from postmill.operations.executor import Executor  # noqa: PLC0415
    from postmill.scheduler.process import SERVICES  # noqa: PLC0415

    is_theirs = settings.databases is None or database == settings.databases.of_schedules
    fired = SERVICES if settings.fires_schedules and is_theirs else ()
    return [*fired, *keepers(handlers), Executor]


def run_schedules(
    settings: Settings, *, embedded: bool = False, on_database: Callable[[Settings, Address], None]
) -> None:
    """Fire schedules and run their SQL commands in this process until it is told to stop, and nothing else.

    The login may be one that can read no table: the schema's version is not checked, and the embedded
    database must be migrated.
    """
    from postmill.engine.worker_process import run  # noqa: PLC0415 - settings alone need no engine
    from postmill.scheduler.process import until_stopped  # noqa: PLC0415

    check_database_is_named(settings, embedded=embedded)
    with database(settings) as where:
        on_database(settings, where)
        run(until_stopped(where, SCHEDULES_STOP_S))


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How functions are to be served."""

    folder: Path
    env_file: Path | None
    """A ``.env`` file whose variables the functions get."""
    env_file_may_come: bool
    """Whether that file may be missing now, and is read once it is there."""
    reload: bool
    """Whether a changed file replaces its function."""
    start_all: bool
    """Whether every function is started at once, as workers need it, or at its first request."""
    on_listening: Callable[[str, Sequence[FunctionInfo]], None]
    """Called with the URL and the functions, once these can be called."""
    on_stop: Callable[[bool], None]
    """Called at each request to stop, with whether it forces."""
    on_dashboard: Callable[[str], None] = lambda _: None
    """Called with the URL of the dashboard, where it is served."""
    probe: tuple[str, int] | None = None
    """The host and port of the HTTP probe."""
    identity: str = field(default="", repr=False)
    """The secret by which the host proves to the project's commands that it is this project's."""


def serve_functions(settings: Settings, where: Address, how: Serving) -> None:
    """Serve functions until a signal asks for the end; ``where`` is the database of their workers.

    Raises ``Refused`` for an address that others can reach without keys made on purpose, and
    ``InvalidOption`` for a port that can't be had or a setting that can't be used.
    """
    from postmill.db.hot.database_probe import DatabaseProbe  # noqa: PLC0415 - workers alone need none of this
    from postmill.engine.worker_process import run  # noqa: PLC0415
    from postmill.gateway.readiness import Readiness  # noqa: PLC0415
    from postmill.gateway.serving_probe import reported  # noqa: PLC0415

    keys = _keys(settings)
    server = _server(settings)
    url = server.listen()

    async def serve() -> None:
        probe = DatabaseProbe(where)
        readiness = Readiness(probe.answers)
        try:
            async with (
                reported(where, readiness, how.probe) as events,
                _beside(settings, where, readiness, events),
                calls_beside(settings, where, readiness, events, FunctionHost(url, keys.service_role)) as end,
            ):
                told = _telling(how, end)
                host = _host(settings, where, told, url, keys)
                async with dashboard_beside(settings, where, keys, host, told.on_dashboard):
                    await _serving_process(settings, where, told, server, url, keys, readiness, host).run()
        finally:
            await probe.close()

    run(serve())


def _server(settings: Settings) -> WebServer:
    from postmill.gateway.platform_errors import rendered  # noqa: PLC0415
    from postmill.web.limits import raise_connection_limit  # noqa: PLC0415
    from postmill.web.server import WebServer  # noqa: PLC0415

    runtime = settings.runtime
    return WebServer(
        runtime.host,
        runtime.port,
        limits=raise_connection_limit(),
        max_message_bytes=_most_bytes(settings),
        render=rendered,
    )


def _telling(how: Serving, end_calls: Callable[[], None]) -> Serving:
    """``how``, with a request to stop told to what makes calls first."""

    def stop(forcing: bool) -> None:
        end_calls()
        how.on_stop(forcing)

    return replace(how, on_stop=stop)


@asynccontextmanager
async def _beside(
    settings: Settings, where: Address, ready: Readiness, events: Events
) -> AsyncIterator[None]:
    """Carry out operations and fire schedules beside what is served, each on a connection of their own."""
    from postmill.operations.executor import executing  # noqa: PLC0415
    from postmill.scheduler.process import firing  # noqa: PLC0415

    several = settings.databases
    theirs = where if several is None else several.at_schedules
    fires = firing(theirs, SCHEDULES_STOP_S, events) if settings.fires_schedules else nullcontext(())
    async with executing(where, events) as executor, fires as others:
        services = (executor, *others)
        ready.checks.append(lambda: next((each.trouble for each in services if each.trouble), None))
        yield


def _keys(settings: Settings) -> ProjectKeys:
    """The project's keys; on an address that only this machine can reach, new ones when there are none."""
    from postmill.auth import key_file  # noqa: PLC0415
    from postmill.gateway.exposure import check_exposure  # noqa: PLC0415

    kept = settings.project_dir / STATE_FOLDER
    given = key_file.load(kept, os.environ)
    check_exposure(settings.runtime.host, keys_given=given is not None)
    return given or key_file.load_or_create(kept, os.environ)


def _serving_process(
    settings: Settings,
    where: Address | None,
    how: Serving,
    server: WebServer,
    url: str,
    keys: ProjectKeys,
    readiness: Readiness,
    host: Host,
) -> ServingProcess:
    from postmill.gateway.application import Gateway  # noqa: PLC0415
    from postmill.gateway.flows import Flows  # noqa: PLC0415
    from postmill.gateway.serving_process import ServingProcess  # noqa: PLC0415
    from postmill.gateway.trust import Trust  # noqa: PLC0415

    runtime, most = settings.runtime, _most_bytes(settings)
    trust = Trust(keys, runtime.jwks, settings.project_dir)
    several = settings.databases
    flows = None if where is None else Flows(several.at_flows.url if several else where.url, trust)
    readiness.checks += [lambda: host.trouble, lambda: trust.trouble]
    process = ServingProcess(
        host,
        Gateway(host, trust, flows, max_body_bytes=most, readiness=readiness, identity=how.identity),
        server,
        trust,
        readiness,
        grace_s=runtime.grace_s,
        reload=how.reload,
        start_all=how.start_all,
        on_listening=lambda: how.on_listening(url, host.functions()),
        on_stop=how.on_stop,
    )
    for part in (host, trust):
        part.on_giving_up.append(process.can_not_go_on)
    return process


def _host(settings: Settings, where: Address | None, how: Serving, url: str, keys: ProjectKeys) -> Host:
    from postmill.auth.environment import Environment, of_project  # noqa: PLC0415
    from postmill.host.host import Host  # noqa: PLC0415

    environment = Environment(
        of_project(url, keys),
        settings.project_dir / STATE_FOLDER,
        how.env_file,
        may_come=how.env_file_may_come,
    )
    environment()  # a file that can't be used is told now, and not at the first request
    return Host(
        how.folder,
        settings.runtime,
        settings.functions,
        environment,
        where,
        watched=() if how.env_file is None else (how.env_file,),
        configuration=_configuration(settings) if how.reload else None,
    )


def _configuration(settings: Settings) -> Configuration:
    from postmill.host.configuration import Configuration  # noqa: PLC0415

    folder = settings.project_dir.absolute()
    return Configuration(folder / FILE_NAME, lambda: load_settings({}, project=folder))


def _most_bytes(settings: Settings) -> int:
    return int(settings.runtime.max_body_mb * 1024 * 1024)
