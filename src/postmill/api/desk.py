"""What a resource is given: one viewer's access to the database. Whether an action is allowed is decided
here, and not by a page that hides a button.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from postmill.api.problem import Failure
from postmill.api.viewer import Role, Viewer

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.db.tools.connect import Connection
    from postmill.db.tools.sessions import Sessions

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """Made for each request. ``read_only``: nobody may act here, as on a standby."""

    sessions: Sessions
    viewer: Viewer
    read_only: bool = False

    async def read(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What a read returns. Raises as :meth:`Sessions.read`."""
        return await self.sessions.read(function, *args, **kwargs)

    async def act(
        self,
        action: str,
        function: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """What an action returns. ``action`` names it, as ``queue.pause``. Raises :class:`Failure` for a
        viewer who may not act, and as :meth:`Sessions.act`.
        """
        self.check_may_act(action)
        return await self.sessions.act(function, *args, **kwargs)

    def check_may_act(self, action: str) -> None:
        """Raises :class:`Failure` unless the viewer may change anything here."""
        if self.viewer.role is not Role.OPERATOR:
            raise Failure(
                HTTPStatus.FORBIDDEN,
                "forbidden",
                f"{self.viewer.name} may look, and not do this: {action}.",
                why="The key is a reader's.",
                hint="Use an operator's key.",
            )
        if self.read_only:
            raise Failure(
                HTTPStatus.FORBIDDEN, "read-only", "Nothing can be changed here.", why="It runs read-only."
            )
