"""The function host: every function of a folder, each alive in processes of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
    from pathlib import Path

    from postmill.model.address import Address
    from postmill.model.function_settings import FunctionSettings, RuntimeSettings

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class FunctionInfo:
    """One function as it is now."""

    slug: str
    settings: FunctionSettings
    kind: str | None
    """``handler``, ``app`` or ``worker``; None until it has been started once."""
    state: str
    """``disabled``, ``idle`` (no process), ``starting``, ``running`` or ``broken`` (it keeps failing)."""
    instances: int
    """Processes that serve it now."""


class Host:
    """The functions of a folder. ``start`` and ``stop`` may be said in any order, and again."""

    def __init__(
        self,
        folder: Path,
        runtime: RuntimeSettings,
        functions: Mapping[str, FunctionSettings],
        environment: Mapping[str, str],
        address: Address | None,
    ) -> None:
        """``functions``: those with settings of their own; the others are found in ``folder``.
        ``environment``: given to every isolate, and the only thing given. ``address``: the database of
        workers.
        """

    async def start(self) -> None:
        """Start the zygote and look for functions; starts no function yet."""

    async def start_workers(self) -> None:
        """Start every function, so that the workers among them run (``postmill dev``)."""

    async def stop(self, grace_s: float | None = None) -> None:
        """Retire every isolate, wait up to ``grace_s``, kill what is left."""

    def functions(self) -> Sequence[FunctionInfo]:
        """Every function, by slug."""
        raise NotImplementedError

    async def handle(self, slug: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one ASGI exchange (``http`` or ``websocket``) on an instance of the function.

        Before the response has started, raises a :class:`FunctionFailure`; after it, :class:`ResponseCut`.
        """
        raise NotImplementedError

    async def stop_function(self, slug: str) -> None:
        """Retire every instance of a function; a worker stays stopped until its next request."""
