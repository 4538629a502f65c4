"""What the gateway asks of the host. The gateway imports nothing of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from postmill.model.functions.steering import SteeredFunctions

if TYPE_CHECKING:
    from postmill.model.functions.settings import FunctionSettings
    from postmill.web.asgi import Receive, Scope, Send


class Functions(SteeredFunctions, Protocol):
    """What the gateway asks of the host."""

    def settings_of(self, slug: str) -> FunctionSettings | None:
        """Those of one function; None when there is none of that name."""

    async def kind_of(self, slug: str) -> str | None:
        """``handler``, ``app`` or ``worker``; starts it to know. Raises ``FunctionFailure``."""

    async def handle(self, slug: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one exchange. Raises ``FunctionFailure`` before its answer has begun, ``ResponseCut`` after."""
