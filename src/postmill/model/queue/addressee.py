"""What a message can be sent to besides a queue's name. The client knows a worker by this alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

TASK_HEADER = "postmill-task"
"""The header that names the task of a message; without it the default handler runs."""


class Addressee(Protocol):
    """A worker, or one of its tasks."""

    @property
    def queue(self) -> str:
        """The queue's name."""

    @property
    def task_headers(self) -> Mapping[str, object]:
        """The headers by which a message reaches it."""

    def encode(self, payload: object) -> object:
        """The payload as it is sent. Raises ``InvalidPayload`` when the handler's annotation refuses it."""
