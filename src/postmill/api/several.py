"""Databases that are shown side by side, and what each says of itself. All are asked at once, each within a
limit, so that one that is away holds up none of the others.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from postmill.db.tools import revoked_keys
from postmill.model.errors import DatabaseUnavailable, PostmillError, TimedOut
from postmill.service.service import new_task

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from postmill.db.tools.sessions import Sessions

T = TypeVar("T")

LIMIT_S = 3.0
"""How long a database may take to say how it stands, in seconds. Three: a read that is slow ends after two,
and a list of all need not wait for a host that says nothing.
"""


class Asked(Protocol):
    """Answers for one database."""

    @property
    def sessions(self) -> Sessions:
        """Its connections."""


H = TypeVar("H", bound=Asked)


class Several(Generic[H]):
    """``names`` are in the order in which they are written; a house is added when it is made."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.houses: dict[str, H] = {}

    async def each(self, ask: Callable[[H], Awaitable[T]]) -> Mapping[str, T | PostmillError]:
        """What ``ask`` finds in each, or why it finds nothing."""
        asking = {name: new_task(_told(ask, house)) for name, house in self.houses.items()}
        _, late = await asyncio.wait(asking.values(), timeout=LIMIT_S)
        for task in late:
            task.cancel()
        return {name: _too_late() if task in late else task.result() for name, task in asking.items()}

    async def is_revoked(self, key_id: str, name: str, issued_s: float) -> bool:
        """Whether one of those that answer knows the key as revoked. Raises ``DatabaseUnavailable`` when none
        answers.
        """

        async def ask(house: H) -> bool:
            return await house.sessions.read(revoked_keys.is_revoked, key_id, name, issued_s)

        answers = (await self.each(ask)).values()
        known = [answer for answer in answers if not isinstance(answer, PostmillError)]
        if not known:
            raise DatabaseUnavailable("None of the databases can be reached.", hint="Try again in a moment.")
        return any(known)


async def _told(ask: Callable[[H], Awaitable[T]], house: H) -> T | PostmillError:
    try:
        return await ask(house)
    except PostmillError as error:
        return error


def _too_late() -> TimedOut:
    return TimedOut(f"The database did not answer within {LIMIT_S:g} s.")
