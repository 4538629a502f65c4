"""Workers and flows inside an isolate: the engine claims, renews and settles here, until the host says
otherwise.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from postmill.engine.engine import Engine
from postmill.handlers.decorator import Worker
from postmill.handlers.sender import use_database
from postmill.isolate.loading import BootError
from postmill.model.config import address
from postmill.model.error_text import traceback_of
from postmill.model.errors import PostmillError
from postmill.wire.frames import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from postmill.engine.engine import MakeService
    from postmill.engine.handler import Handler

DATABASE = "POSTMILL_DB_URL"
LISTEN = "POSTMILL_LISTEN_URL"


def know_database() -> None:
    """Let ``task.send(...)`` of any function send to the project's database."""
    if url := os.environ.get(DATABASE):
        use_database(url)


class Workers:
    """What one function runs beside requests."""

    def __init__(self, targets: Sequence[Any], grace_s: float, on_known: Callable[[list[str]], None]) -> None:
        """``targets``: workers, flows and workflows. ``on_known`` is told the ids under which they will
        claim, before they do. Raises :class:`BootError`.
        """
        url = os.environ.get(DATABASE)
        if not url:
            raise BootError(Trouble("A worker needs a database, and none is configured.", ""))
        handlers, services = _handlers(targets)
        for handler in handlers:
            handler.options = replace(handler.options, grace=grace_s)  # type: ignore[misc]
        where = address.parse(url, listen_url=os.environ.get(LISTEN) or None, source=DATABASE)
        self._engine = Engine(handlers, where, services)
        self._on_known = on_known
        self._known: list[str] = []
        self._engine.on_worker.append(lambda worker: self._know(str(worker.worker_id)))

    async def start(self) -> None:
        """Until every worker claims. Waits for a database that is not there."""
        await self._engine.start()

    async def until_deprecated(self) -> None:
        """Until an operator has asked every worker here to drain, or the engine can't go on."""
        await self._engine.wait_over()

    async def stop(self, reason: str) -> None:
        """Claim nothing more, finish what runs, write everything down, close every connection."""
        await self._engine.stop(reason)

    def force(self) -> None:
        """Cancel what still runs."""
        self._engine.force()

    def _know(self, worker_id: str) -> None:
        self._known.append(worker_id)
        self._on_known(self._known)


def _handlers(targets: Sequence[Any]) -> tuple[Sequence[Handler], Sequence[MakeService]]:
    """What claims, and what looks after it. Only a function that has flows pays for what runs them."""
    workers = [each for each in targets if isinstance(each, Worker)]
    flows = [each for each in targets if not isinstance(each, Worker)]
    if not flows:
        return workers, ()
    from postmill.flows.running.handlers import handlers_of  # noqa: PLC0415
    from postmill.flows.running.keeper import keepers  # noqa: PLC0415

    try:
        handlers = handlers_of(flows)
    except PostmillError as error:
        raise BootError(Trouble(str(error), traceback_of(error))) from error
    return [*workers, *handlers], keepers(handlers)
