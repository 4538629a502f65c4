"""The queues that a test needs, made before its workers run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.client import Client

if TYPE_CHECKING:
    from postmill.model.queue.addressee import Addressee


def create_queues(database: str, *queues: str | Addressee) -> None:
    """Create the queues, by name or of a worker, that are missing: those to which a handler sends although
    the test runs no worker on them. Blocks for the time of a statement each.
    """
    with Client(database) as client:
        for queue in queues:
            client.create_queue(queue if isinstance(queue, str) else queue.queue)
