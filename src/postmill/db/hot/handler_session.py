"""The kind of connection that handlers borrow: it knows whether it still works, what a handler has done to
it, and how to reset that.

It is asyncpg's own with a few marks, and knows neither messages nor workers.
"""

from __future__ import annotations

import re
import select
import time
from typing import TYPE_CHECKING, Any

import asyncpg

from postmill.db.hot.outage import condition_of
from postmill.model.errors import Refused
from postmill.model.sqlstates import Condition

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CHECK_AFTER_S = 1.0
"""A connection that was idle for longer than this, in seconds, is tried before a handler gets it: a proxy or
firewall may have cut it without a word. 1 s: one that was in use so lately is alive, and a busy worker pays
for no trial.
"""
TIMEOUT_S = 5.0
"""How long a statement of Postmill's own may take on a handler's connection, in seconds: as long as opening
another connection may take (``db.hot.shared_connection.CONNECT_TIMEOUT_S``).
"""

BEGIN = "begin; set local postmill.transaction = 'open'"
"""A setting that ends with the transaction: the completing statement sees by it that it is still in this
transaction.
"""

_LASTING = re.compile(r"(?:^|;)\s*(?:discard|deallocate|listen|unlisten)\b", re.IGNORECASE)
"""Statements whose effect a reset does not undo, or that asyncpg does not know of: the session is closed
afterwards.
"""

_ENDS_TRANSACTION = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
    r"(?:commit|end|abort|rollback(?!\s+(?:(?:work|transaction)\s+)?to\b)|prepare\s+transaction)\b",
    re.IGNORECASE | re.DOTALL,
)

_ROLE = re.compile(r"\brole\b|\bsession[_ ]authorization\b", re.IGNORECASE)


class HandlerSession(asyncpg.Connection):
    """See the module. Marks are for one loan; :meth:`lend` clears them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heard_at = time.monotonic()
        """When the server last answered, by the monotonic clock."""
        self._own_limit_s: float | None = self._config.command_timeout
        self.loans = 0
        """How often it was lent."""
        self._on_loan = False
        self._spoiled = False
        self._closed_on_purpose = False
        self._is_reset = True
        self._holds_transaction = False
        self._role_is_its_own = True

    def lend(self) -> None:
        """Mark that a handler gets it now."""
        self.loans += 1
        self._on_loan = True
        self._limit_statements(None)
        self._spoiled = self._closed_on_purpose = self._is_reset = False

    async def check(self) -> None:
        """Raise when the server no longer answers on it. Asks the server only after a rest, and when
        something has arrived that was not read yet: a server that ends a session sends a message.
        """
        if time.monotonic() - self.heard_at >= CHECK_AFTER_S or self._has_mail():
            await super().execute("select", timeout=TIMEOUT_S)

    async def begin(self) -> None:
        """Begin a transaction that only :meth:`commit` and :meth:`roll_back` may end."""
        transaction = self.transaction()
        await super().execute(BEGIN, timeout=TIMEOUT_S)
        self._top_xact = transaction  # asyncpg's own blocks inside become savepoints
        self._holds_transaction = True
        self._role_is_its_own = True

    async def take_own_role(self) -> None:
        """Act as the user of the login again, if a statement may have changed the role: a handler's role need
        not have the right to complete a message.
        """
        if not self._role_is_its_own:
            await super().execute("set session authorization default; reset role", timeout=TIMEOUT_S)

    async def commit(self, reset: str, landed: Callable[[], Awaitable[bool]]) -> None:
        """Commit, and reset the session in the same message. ``landed`` finds out whether the commit was done
        when the server reports an error: it may be of the reset alone.
        """
        self._let_go()
        try:
            await super().execute(f"commit;\n{reset}")
        except asyncpg.PostgresError:
            if self.is_closed() or self.is_in_transaction() or not await landed():
                raise
            self._spoiled = True
        else:
            self._is_reset = bool(reset)

    async def roll_back(self, reset: str) -> None:
        """Roll back, and reset the session in the same message. What can't be rolled back is closed."""
        self._let_go()
        try:
            await super().execute(f"rollback;\n{reset}", timeout=TIMEOUT_S)
        except Exception:
            self._spoiled = True
        else:
            self._is_reset = bool(reset)

    async def reset_session(self, reset: str) -> None:
        """Undo what a handler did, unless that was done with the end of its transaction."""
        self._on_loan = False
        self._limit_statements(self._own_limit_s)
        if reset and not self._is_reset:
            await super().execute(reset, timeout=TIMEOUT_S)
            self._is_reset = True
        self.heard_at = time.monotonic()

    @property
    def can_be_reset(self) -> bool:
        """Whether a reset is enough to lend it again."""
        return not (self._spoiled or self.is_closed())

    def lost(self, error: BaseException) -> bool:
        """Whether the session has ended, and not by the handler's own doing."""
        if self._closed_on_purpose:
            return False
        if self.is_closed():
            return True
        ended = condition_of(error) in {Condition.DISCONNECTED, Condition.NOT_READY}
        return ended and isinstance(error, asyncpg.PostgresError)

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str:
        """asyncpg's; notes what outlives a reset."""
        self._note(query)
        return str(await super().execute(query, *args, timeout=timeout))

    async def fetch(self, query: str, *args: object, **options: Any) -> list[Any]:
        """asyncpg's; notes what outlives a reset."""
        self._note(query)
        rows: list[Any] = await super().fetch(query, *args, **options)
        return rows

    async def fetchval(self, query: str, *args: object, **options: Any) -> Any:
        """asyncpg's; notes what outlives a reset."""
        self._note(query)
        return await super().fetchval(query, *args, **options)

    async def fetchrow(self, query: str, *args: object, **options: Any) -> Any:
        """asyncpg's; notes what outlives a reset."""
        self._note(query)
        return await super().fetchrow(query, *args, **options)

    async def set_type_codec(self, *args: Any, **options: Any) -> None:
        """asyncpg's; stays with the connection."""
        self._spoiled = True
        await super().set_type_codec(*args, **options)

    async def reset_type_codec(self, *args: Any, **options: Any) -> None:
        """asyncpg's; stays with the connection."""
        self._spoiled = True
        await super().reset_type_codec(*args, **options)

    async def set_builtin_type_codec(self, *args: Any, **options: Any) -> None:
        """asyncpg's; stays with the connection."""
        self._spoiled = True
        await super().set_builtin_type_codec(*args, **options)

    def add_termination_listener(self, callback: Any) -> None:
        """asyncpg's; stays with the connection."""
        self._spoiled = True
        super().add_termination_listener(callback)

    def add_query_logger(self, callback: Any) -> None:
        """asyncpg's; stays with the connection."""
        self._spoiled = True
        super().add_query_logger(callback)

    def add_log_listener(self, callback: Any) -> None:
        """asyncpg's; stays with the connection."""
        self._spoiled = True
        super().add_log_listener(callback)

    async def close(self, *, timeout: float | None = None) -> None:
        """asyncpg's; a handler that closes it has not lost it."""
        self._closed_on_purpose = True
        await super().close(timeout=timeout)

    def terminate(self) -> None:
        """asyncpg's; a handler that ends it has not lost it."""
        self._closed_on_purpose = True
        super().terminate()

    def _limit_statements(self, limit_s: float | None) -> None:
        """Run one of Postmill's own statements, with a time limit; a handler's statements have none."""
        self._config: Any = self._config._replace(command_timeout=limit_s)

    def _let_go(self) -> None:
        self._holds_transaction = False
        self._top_xact = None  # type: ignore[assignment]  # asyncpg's own word for no transaction

    def _note(self, query: str) -> None:
        if self._holds_transaction and _ENDS_TRANSACTION.match(query):
            raise Refused(
                "A statement would have ended the transaction of ctx.transaction().",
                why="Its commit completes the message; it commits or rolls back when the block ends.",
                hint="Leave the block, raise inside it, or use ctx.db for a transaction of your own.",
            )
        if self._on_loan and _LASTING.search(query):
            self._spoiled = True
        if self._holds_transaction and _ROLE.search(query):
            self._role_is_its_own = False

    def _has_mail(self) -> bool:
        """Whether the system holds something for this connection that the event loop has not read yet."""
        wire = self._transport.get_extra_info("socket")  # type: ignore[attr-defined]
        if wire is None or not hasattr(select, "poll"):
            return False
        mail = select.poll()
        mail.register(wire.fileno(), select.POLLIN)
        return bool(mail.poll(0))
