"""Runs workers in this process until it is told to stop: what ``EdgeWorker.start`` and ``postmill worker
run`` share.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from postmill.databases.engines import Engines
from postmill.databases.starting import looked_up
from postmill.engine.worker_process import Runner, run
from postmill.handlers.sender import sending_to
from postmill.model.config.release import Release
from postmill.model.errors import InvalidOption, Refused
from postmill.project import project
from postmill.project.once_up import prepare_once_up
from postmill.service.threaded import check_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from postmill.engine.engine import MakeService
    from postmill.engine.handler import Handler
    from postmill.model.config.address import Address
    from postmill.model.config.lifetime import Lifetime
    from postmill.model.config.settings import Settings
    from postmill.model.databases.databases import Databases

    Beside: TypeAlias = Callable[[str | None, Sequence[Handler]], Sequence[MakeService]]
    """What runs beside these handlers in the database of this name; None: there is one database."""

COMMAND_LINE = "--db-url"
"""The source of an address that was named on the command line."""
BY_WORKER = "@worker(db_url=...)"
"""The source of one that the workers name."""

_running: list[Runner] = []


def run_here(
    workers: Sequence[Handler],
    settings: Settings | None = None,
    *,
    on_drain: Callable[[Callable[[], int]], None] | None = None,
    on_database: Callable[[Settings, Address], None] | None = None,
    on_runner: Callable[[Runner], None] | None = None,
    probe: tuple[str, int] | None = None,
    services: Beside | None = None,
    lifetime: Lifetime | None = None,
    release: Release | None = None,
) -> None:
    """Run ``workers`` until SIGTERM, Ctrl-C, :func:`stop_here` or an operator's deprecation.

    Without ``settings``, those of the project around the working folder. An address that the workers give
    themselves comes first, unless the command line names one; see :func:`settings_for`. The embedded database
    is started and migrated when there is no address; another one is waited for while it is away.
    ``on_database`` is told which one it is, ``on_runner`` is given what runs the workers, to stop it alone.
    ``on_drain`` is told how many messages still run: at each request to stop, and every second until none
    does. ``probe`` is the host and port where HTTP requests about the workers' health are answered.
    ``services`` says what runs beside the workers. ``lifetime`` is when they end by themselves, ``release``
    whose place they take. Raises :class:`Refused` where workers can't run.
    """
    _check_surroundings()
    settings = settings_for(workers, settings if settings is not None else project.load_settings({}))
    beside = services or _nothing
    if settings.databases is not None:
        how = _How(on_drain, on_database, on_runner, probe, lifetime, release or Release(), beside)
        _run_on_several(workers, settings, settings.databases, how)
        return
    with project.database(settings) as where:
        if not _prepared(settings, where, lifetime):
            return
        if on_database is not None:
            on_database(settings, where)
        given = beside(None, workers)
        runner = Runner(workers, where, on_drain=on_drain, probe=probe, services=given, lifetime=lifetime)
        runner.release = release or Release()
        with sending_to(where.url):
            _run(runner, on_runner)


def _prepared(settings: Settings, where: Address, lifetime: Lifetime | None) -> bool:
    """Whether there is something to run on. A job does not wait for its database: what starts it again should
    see that it failed, and not have ever more of them wait.
    """
    if lifetime is None or not lifetime.is_job:
        return prepare_once_up(settings, where)
    project.prepare(settings, where)
    return True


def _nothing(_: str | None, __: Sequence[Handler]) -> Sequence[MakeService]:
    return ()


@dataclass(frozen=True, slots=True)
class _How:
    on_drain: Callable[[Callable[[], int]], None] | None
    on_database: Callable[[Settings, Address], None] | None
    on_runner: Callable[[Runner], None] | None
    probe: tuple[str, int] | None
    lifetime: Lifetime | None
    release: Release
    beside: Beside


def _run_on_several(workers: Sequence[Handler], settings: Settings, databases: Databases, how: _How) -> None:
    only = settings.database if settings.is_chosen else None
    placed = looked_up(databases, workers, only).of(workers)
    if how.on_database is not None:
        for name in placed:
            how.on_database(settings, databases.addresses[name])
    services = {name: how.beside(name, handlers) for name, handlers in placed.items()}
    runner = Runner(
        workers,
        databases.addresses[databases.main],
        on_drain=how.on_drain,
        probe=how.probe,
        lifetime=how.lifetime,
        make_engine=partial(Engines, databases, placed, services),
    )
    runner.release = how.release
    with sending_to(databases.at_flows.url, databases):
        _run(runner, how.on_runner)


def _run(runner: Runner, on_runner: Callable[[Runner], None] | None) -> None:
    _running.append(runner)
    try:
        if on_runner is not None:
            on_runner(runner)
        run(runner.run(), runner.stop)
    finally:
        _running.remove(runner)


def _check_surroundings() -> None:
    """Raise for what keeps workers from running here, before anything is started."""
    if _is_on_a_loop():
        raise Refused(
            "Workers can't be started on an event loop that runs already, as in a notebook.",
            why="They need one of their own, and would stop this one until they end.",
            hint="Start them in a thread or with `postmill worker run`; a test uses postmill.testing.drain.",
        )
    check_threads()


def _is_on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def settings_for(workers: Sequence[Handler], settings: Settings) -> Settings:
    """``settings`` with the one address that ``workers`` give as ``db_url``, if any does.

    Raises :class:`InvalidOption` when they give different ones, or when one that gives none would get another
    database than the settings name: a process serves one database.
    """
    if settings.source == COMMAND_LINE:
        return settings
    given = {option: _the_one(workers, option) for option in ("db_url", "listen_url")}
    db_url = given["db_url"]
    if db_url is None:
        return replace(settings, listen_url=given["listen_url"] or settings.listen_url)
    silent = [worker.name for worker in workers if worker.options.db_url is None]
    if silent and settings.db_url not in {None, db_url}:
        raise InvalidOption(
            f"The worker {silent[0]!r} gives no db_url, and another one of this process does.",
            why=f"{settings.source} names another database, and one process serves one database.",
            hint="Give both the same db_url, or run them in two processes.",
        )
    found = replace(settings, db_url=db_url, listen_url=given["listen_url"], source=BY_WORKER, databases=None)
    _ = found.address  # refuses a bad one here, where its source is known
    return found


def _the_one(workers: Sequence[Handler], option: str) -> str | None:
    """The one value that workers give for an option. An address is never shown: it may hold a password."""
    saying = [worker for worker in workers if getattr(worker.options, option) is not None]
    values = {getattr(worker.options, option) for worker in saying}
    if len(values) > 1:
        names = ", ".join(sorted(worker.name for worker in saying))
        raise InvalidOption(
            f"The workers {names} give different values for {option}.",
            why="The workers of one process share its connections, and so one database.",
            hint="Run them in one process for each database.",
        )
    return next(iter(values), None)


def stop_here() -> None:
    """Drain what :func:`run_here` runs. From any thread; nothing when nothing runs."""
    for runner in _running:
        runner.stop_from_thread()
