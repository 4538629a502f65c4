"""What is asked of the host of functions by those that list and steer them, and import nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.model.functions.function_info import FunctionInfo


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
