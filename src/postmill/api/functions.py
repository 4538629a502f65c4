"""What the API asks of the host of functions. The API imports nothing of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.model.functions.settings import FunctionSettings


class FunctionInfo(Protocol):
    """One function as it is now."""

    @property
    def slug(self) -> str:
        """Its name, as URLs have it."""

    @property
    def settings(self) -> FunctionSettings:
        """Its settings."""

    @property
    def kind(self) -> str | None:
        """``handler``, ``app`` or ``worker``; None until it has been started once."""

    @property
    def state(self) -> str:
        """One of the words of ``postmill functions list``."""

    @property
    def instances(self) -> int:
        """How many of its processes answer requests now."""

    @property
    def why(self) -> str | None:
        """What keeps its files from being served as they are; None when nothing does."""


class Functions(Protocol):
    """The host."""

    def functions(self) -> Sequence[FunctionInfo]:
        """Every function, by slug."""

    async def recycle(self, slug: str) -> None:
        """Replace every instance of a function. Raises ``BootFailed`` when a new one does not start."""

    async def start_function(self, slug: str) -> None:
        """Start an instance of a function unless one runs. Raises ``BootFailed`` when it does not start."""

    async def stop_function(self, slug: str) -> None:
        """Retire every instance of a function."""
