"""One worker as its heartbeat's services see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from postmill.engine.maintain.minute_sums import MinuteSums

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from postmill.model.queue.message import HeldMessages, Message
    from postmill.model.queue.queue_name import QueueShape
    from postmill.model.queue.worker_options import WorkerOptions
    from postmill.service.events import Events
    from postmill.service.outage import Outage


@dataclass(slots=True)
class MaintainedWorker:
    """What renewer and heartbeat must know of a worker. The callbacks are called on the event loop."""

    worker_id: UUID
    function_name: str
    version: str
    options: WorkerOptions
    shape: QueueShape
    held_messages: HeldMessages
    events: Events
    outage: Outage
    running_ids: Callable[[], list[int]]
    on_lost: Callable[[Message], None]
    on_silence: Callable[[Message], None]
    """Called when the worker was silent for almost a lease: see the option ``on_silence``."""
    on_cancel: Callable[[int], None]
    on_deprecated: Callable[[], None]
    has_gates: Callable[[], bool] = lambda: False
    """Whether messages of its queue wait for places in their groups."""
    sums: MinuteSums = field(default_factory=MinuteSums)
    """What its messages have come to."""
    let_go: bool = False
    """Called when the event loop has been blocked for too long: its leases are not renewed any more."""
    lock_held: bool = False
    """Whether the heartbeat's connection holds the session lock that shows that the worker is alive."""

    @property
    def lock_key(self) -> int:
        """The session advisory lock that shows the worker is alive."""
        return self.worker_id.int >> 65

    @property
    def holding(self) -> bool:
        """Whether it holds messages."""
        return bool(self.held_messages.claim_ids)
