"""What a resource is given: one viewer's access to the database. Whether an action is allowed is decided
here, and not by a page that hides a button; and here it leaves its row in the audit.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import msgspec

from postmill.api.json_text import encode
from postmill.api.looks import Looks
from postmill.api.problem import Failure
from postmill.api.redaction import Redaction
from postmill.api.shape import shaped
from postmill.api.viewer import Role, Viewer
from postmill.db.tools import audit
from postmill.model.events import Event
from postmill.model.queue.payload import loads
from postmill.service.events import Events

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from postmill.api.several import Several
    from postmill.db.tools.connect import Connection
    from postmill.db.tools.sessions import Sessions
    from postmill.model.functions.steering import WatchedFunctions

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)


class Repeated(Exception):
    """The request was answered before: this is its answer."""

    def __init__(self, body: bytes) -> None:
        super().__init__("This request was answered before.")
        self.body = body


@dataclass(frozen=True, slots=True)
class Once:
    """A request that its sender may repeat: it takes effect once."""

    key: str
    request: str
    """A digest of all that it asks for."""


@dataclass(frozen=True, slots=True)
class House:
    """What all requests of an application share."""

    sessions: Sessions
    read_only: bool = False
    """No viewer may act here, as on a standby."""
    hide: Redaction = field(default_factory=Redaction)
    functions: WatchedFunctions | None = None
    """Those of the host in this process, if it has one."""
    trace_url: str | None = None
    """Where a trace is shown: an address with ``{trace_id}`` in it."""
    database: str = "default"
    """What the parameter ``database`` calls it."""
    several: Several[House] | None = None
    """The databases beside which it is shown, itself too; None: it is alone."""
    events: Events = field(default_factory=Events)
    looks: Looks = field(default_factory=Looks)


@dataclass(frozen=True, slots=True)
class Desk:
    """Made for each request."""

    house: House
    viewer: Viewer
    once: Once | None = None

    async def read(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What a read returns. Raises as :meth:`Sessions.read`."""
        return await self.house.sessions.read(function, *args, **kwargs)

    async def act(
        self,
        action: str,
        target: Mapping[str, Any] | msgspec.Struct,
        work: Callable[[Connection], T],
        *,
        count: Callable[[T], int | None] = lambda _: None,
    ) -> T:
        """What an action returns, which is the whole answer to the request: it, its row in the audit and, for
        a request with an ``Idempotency-Key``, its answer are one transaction.

        ``action`` names it, as ``queue.pause``; ``target`` says on what, without payloads; ``count`` on how
        many. Raises :class:`Failure` for a viewer who may not act, :class:`Repeated`, and as
        :meth:`Sessions.act`.
        """
        self.check_may_act(action)
        told = target if not isinstance(target, msgspec.Struct) else msgspec.to_builtins(target)
        try:
            return await self.house.sessions.act(partial(self._acted, action, told, work, count))
        finally:
            self.house.looks.forget()

    async def reveal(
        self, action: str, target: Mapping[str, Any] | msgspec.Struct, work: Callable[[Connection], T]
    ) -> T:
        """What an action returns that only shows what is secret. Its answer is not kept: a request that
        is sent again shows it again, and the audit has both.
        """
        return await replace(self, once=None).act(action, target, work)

    async def note(self, action: str, target: Mapping[str, Any]) -> None:
        """Leave a row in the audit of an action that is about to be done elsewhere than in the database.
        Raises as :meth:`act`.
        """
        await self.act(action, target, lambda _: None)

    def shaped(self, kind: type[S], row: Mapping[str, Any]) -> S:
        """A row as it is answered, without secrets."""
        return shaped(kind, row, self.house.hide)

    def check_whole(self, payload: bytes) -> None:
        """Raises :class:`Failure` for JSON in which secrets were left out: it would be sent so. Raises
        :class:`InvalidPayload` where that can't be told.
        """
        if b"[redacted]" in payload and self.house.hide.is_in(loads(payload)):
            raise Failure(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "invalid-payload",
                "Secrets were left out of this payload.",
                why="It was sent as [redacted], and would take the place of the secret.",
                hint="Reveal the payload first, or write the secret in.",
            )

    def check_may_act(self, action: str) -> None:
        """Raises :class:`Failure` unless the viewer may change anything here."""
        self.check_is_operator(action)
        if self.house.read_only:
            raise Failure(
                HTTPStatus.FORBIDDEN, "read-only", "Nothing can be changed here.", why="It runs read-only."
            )

    def check_is_operator(self, action: str) -> None:
        """Raises :class:`Failure` for a reader, which is not shown secrets either."""
        if self.viewer.role is not Role.OPERATOR:
            self.house.events.emit(
                Event.ACTION_FORBIDDEN, action=action, viewer=self.viewer.name, source=self.viewer.source
            )
            raise Failure(
                HTTPStatus.FORBIDDEN,
                "forbidden",
                f"{self.viewer.name} may look, and not do this: {action}.",
                why="The key is a reader's.",
                hint="Use an operator's key.",
            )

    def _acted(
        self,
        action: str,
        target: Mapping[str, Any],
        work: Callable[[Connection], T],
        count: Callable[[T], int | None],
        connection: Connection,
    ) -> T:
        if self.once is not None:
            self._claim(connection, self.once)
        done = work(connection)
        viewer = self.viewer
        audit.note(
            connection,
            audit.Entry(viewer.name, viewer.role.value, viewer.source, action, target, count(done)),
        )
        if self.once is not None:
            audit.keep_answer(connection, viewer.name, self.once.key, encode(done))
        return done

    def _claim(self, connection: Connection, once: Once) -> None:
        """Waits while a request with the same key is under way."""
        known = audit.claim_key(connection, self.viewer.name, once.key, once.request)
        if known is None:
            return
        if known.request != once.request:
            raise Failure(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "key-reused",
                "Another request was sent with this Idempotency-Key.",
                hint="Make a key of its own for each request; a repeated one is sent with the same body.",
            )
        raise Repeated(known.answer)
