"""Runs workers in this process until it is told to stop: what ``EdgeWorker.start`` and ``postmill worker
run`` share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.db import project
from postmill.engine.process import Runner, run
from postmill.handlers.sender import use_database

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from postmill.handlers.decorator import Worker
    from postmill.model.settings import Settings

_running: list[Runner] = []


def run_here(
    workers: Sequence[Worker],
    settings: Settings | None = None,
    *,
    on_drain: Callable[[Callable[[], int]], None] | None = None,
    probe: tuple[str, int] | None = None,
) -> None:
    """Run ``workers`` until SIGTERM, Ctrl-C, :func:`stop_here` or an operator's deprecation.

    Without ``settings``, those of the project around the working folder, with the workers' own ``db_url``
    first. The embedded database is started and migrated when there is no address. ``on_drain`` is told how
    many messages still run: at each request to stop, and every second until none does. ``probe`` is the host
    and port where HTTP requests about the workers' health are answered.
    """
    if settings is None:
        options = workers[0].options
        settings = project.load_settings({"db_url": options.db_url, "listen_url": options.listen_url})
    with project.database(settings) as where:
        project.prepare(settings, where)
        use_database(where.url)
        runner = Runner(workers, where, on_drain=on_drain, probe=probe)
        _running.append(runner)
        try:
            run(runner.run())
        finally:
            _running.remove(runner)


def stop_here() -> None:
    """Drain what :func:`run_here` runs. From any thread; nothing when nothing runs."""
    for runner in _running:
        runner.stop_from_thread()
