"""What is asked of the host of functions by those that list and steer them, and import nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping, Sequence
    from typing import Any

    from postmill.model.functions.function_info import FunctionInfo
    from postmill.model.functions.recent import Recent

    Message = MutableMapping[str, Any]
    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]


class SteeredFunctions(Protocol):
    """The host, as far as that goes."""

    def functions(self) -> Sequence[FunctionInfo]:
        """Every function, by slug."""

    async def recycle(self, slug: str) -> None:
        """Replace every instance of a function. Raises ``BootFailed`` when a new one does not start."""

    async def start_function(self, slug: str) -> None:
        """Start an instance of a function unless one runs. Raises ``BootFailed`` when it does not start."""

    async def stop_function(self, slug: str) -> None:
        """Retire every instance of a function."""


class WatchedFunctions(SteeredFunctions, Protocol):
    """The host as those see it that also show what its functions do, and call them."""

    @property
    def recent(self) -> Recent:
        """What its functions have done lately."""

    async def handle(self, slug: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one ASGI exchange on an instance of the function. Raises a ``FunctionFailure``."""
