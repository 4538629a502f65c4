"""Orders to the zygote, one after the other, also when its socket is full for a moment."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from postmill.wire.orders import Order

AGAIN_S = 0.005
"""Pause before an order is sent again to a full socket, in seconds. 5 ms: hundreds of orders wait then, and
the zygote takes some of them in that time.
"""


class Orders:
    """Orders are sent in the order in which they were given. ``control`` stays the owner's."""

    def __init__(self, control: socket.socket, on_lost: Callable[[], None]) -> None:
        self._control = control
        self._on_lost = on_lost
        self._waiting: deque[tuple[Order, list[int]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def give(self, order: Order, descriptors: Sequence[int] = ()) -> None:
        """Send an order. Its descriptors are copied, so the caller may close them at once."""
        self._waiting.append((order, [os.dup(each) for each in descriptors]))
        self._send()

    def close(self) -> None:
        """Forget what was not sent."""
        if self._timer is not None:
            self._timer.cancel()
        while self._waiting:
            _close(self._waiting.popleft()[1])

    def _send(self) -> None:
        while self._waiting:
            order, descriptors = self._waiting[0]
            try:
                socket.send_fds(self._control, [msgspec.json.encode(order)], descriptors)
            except BlockingIOError:  # hundreds of orders at once
                self._timer = asyncio.get_running_loop().call_later(AGAIN_S, self._send)
                return
            except OSError:
                self._on_lost()
                return
            self._waiting.popleft()
            _close(descriptors)


def _close(descriptors: Sequence[int]) -> None:
    for each in descriptors:
        os.close(each)
