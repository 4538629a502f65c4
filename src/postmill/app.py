"""The composition root: from settings to running workers. It wires; it decides nothing that a part below
could decide.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from postmill.db.project import (
    bare_connection,
    connection,
    database,
    ensure_schema,
    find_project,
    load_settings,
    prepare,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from postmill.auth.keys import ProjectKeys
    from postmill.host.host import FunctionInfo
    from postmill.model.address import Address
    from postmill.model.settings import Settings

__all__ = [
    "bare_connection",
    "connection",
    "database",
    "ensure_schema",
    "find_project",
    "load_settings",
    "prepare",
    "run_workers",
    "serve_functions",
]

KEYS_FOLDER = ".postmill"
"""Where a project keeps its keys and secrets."""


def run_workers(
    settings: Settings,
    targets: Sequence[str],
    *,
    on_drain: Callable[[Callable[[], int]], None] | None = None,
    probe: tuple[str, int] | None = None,
) -> None:
    """Run the workers named ``module:name`` in this process until it is told to stop.

    The working folder is importable, as with ``python -m``. ``on_drain`` is told how many messages still run:
    at each request to stop, and every second until none does. ``probe`` is the host and port of the HTTP
    probe. Raises ``InvalidHandler`` for a bad target, and what :func:`connection` raises.
    """
    from postmill.handlers import load  # noqa: PLC0415 - settings alone need no engine
    from postmill.handlers.standalone import run_here  # noqa: PLC0415

    sys.path[:0] = [folder for folder in (str(Path.cwd()),) if folder not in sys.path]
    run_here([load(target) for target in targets], settings, on_drain=on_drain, probe=probe)


def serve_functions(
    settings: Settings,
    where: Address | None,
    folder: Path,
    *,
    env_file: Path | None,
    reload: bool,
    start_all: bool,
    on_listening: Callable[[str, ProjectKeys, Sequence[FunctionInfo]], None],
    on_stop: Callable[[bool], None],
) -> None:
    """Serve the functions of ``folder`` until SIGINT or SIGTERM; ``where`` is the database of their workers.

    ``env_file`` is a ``.env`` file whose variables they get. ``start_all`` starts every function instead of
    waiting for its first request, as workers need it. ``on_listening`` is told the URL, the keys and the
    functions once they can be called; ``on_stop`` is called at each request to stop, with whether it forces.

    Raises ``Refused`` for an address that others can reach without keys made on purpose, and
    ``InvalidOption`` for a port that can't be had or a setting that can't be used.
    """
    from postmill.auth import key_file  # noqa: PLC0415 - workers alone need none of this
    from postmill.auth.environment import Environment, of_project  # noqa: PLC0415
    from postmill.engine.process import run  # noqa: PLC0415
    from postmill.gateway import serving  # noqa: PLC0415
    from postmill.gateway.application import Gateway  # noqa: PLC0415
    from postmill.gateway.process import ServingProcess  # noqa: PLC0415
    from postmill.gateway.trust import Trust  # noqa: PLC0415
    from postmill.host.host import Host  # noqa: PLC0415

    runtime, kept = settings.runtime, settings.project_dir / KEYS_FOLDER
    given = key_file.load(kept, os.environ)
    serving.check_exposure(runtime.host, keys_given=given is not None)
    keys = given or key_file.create(kept)
    most_bytes = int(runtime.max_body_mb * 1024 * 1024)
    server = serving.GatewayServer(
        runtime.host,
        runtime.port,
        limits=serving.raise_connection_limit(),
        max_message_bytes=most_bytes,
    )
    url = server.listen()
    environment = Environment(of_project(url, keys), kept, env_file)
    environment()  # a file that can't be used is told now, and not at the first request
    host = Host(folder, runtime, settings.functions, environment, where)
    trust = Trust(keys, runtime.jwks, settings.project_dir)

    async def serve() -> None:
        await ServingProcess(
            host,
            Gateway(host, trust, max_body_bytes=most_bytes),
            server,
            trust,
            grace_s=runtime.grace_s,
            reload=reload,
            start_all=start_all,
            on_listening=lambda: on_listening(url, keys, host.functions()),
            on_stop=on_stop,
        ).run()

    run(serve())
