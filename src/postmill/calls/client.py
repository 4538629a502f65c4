"""The HTTP client of calls: one request, within its time, to an address that it may connect to, with an
answer of bounded size. It follows no redirect, keeps no cookie and asks no proxy. It never raises.
"""

from __future__ import annotations

import asyncio
import socket
from contextvars import ContextVar
from typing import TYPE_CHECKING

import aiohttp

from postmill.model.calls.call import Answer
from postmill.model.error_text import storable

if TYPE_CHECKING:
    from aiohappyeyeballs import AddrInfoType

    from postmill.model.calls.address_guard import AddressGuard
    from postmill.model.calls.call import Call

MOST_BYTES = 1024 * 1024
"""The largest answer that is kept, in bytes. 1 MiB: of a thousand calls at once they take 1 GiB at worst, and
what is larger belongs into a file store.
"""
IDLE_S = 15.0
"""How long a connection is kept for the next call, in seconds. Most servers close it after a minute or less;
15 s serves a burst, and meets few connections that the server closes at that moment.
"""
_COMPUTED = frozenset({"content-length", "transfer-encoding", "connection"})
"""Headers that follow from the request itself: a wrong one would make two requests of one."""


class _Sockets:
    """What the guard has said of the addresses of one call; aiohttp hides it in errors of its own."""

    def __init__(self) -> None:
        self.refusals: list[str] = []
        self.any_opened = False


_sockets: ContextVar[_Sockets] = ContextVar("sockets")


class TooLarge(Exception):
    """The answer has more bytes than are kept."""


class AddressRefused(OSError):
    """The guard refuses the address."""


class _Once:
    """Has one request sent once. By itself aiohttp sends one that was cut off again, if its method allows
    that, and a call would be made twice.
    """

    __slots__ = ("_error",)

    def __init__(self) -> None:
        self._error: aiohttp.ClientError | None = None

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send it, or say again why that failed."""
        if self._error is not None:
            raise self._error
        try:
            return await handler(request)
        except aiohttp.ClientError as error:
            self._error = error
            raise


class CallClient:
    """Makes calls on one event loop."""

    def __init__(self, guard: AddressGuard, *, most_bytes: int = MOST_BYTES) -> None:
        self._guard = guard
        self._most_bytes = most_bytes
        self._session: aiohttp.ClientSession | None = None

    async def call(self, call: Call) -> Answer:
        """Make one call. When it is cancelled, its connection is closed."""
        if not call.url.lower().startswith(("http://", "https://")):
            return Answer(error="the URL begins with neither http:// nor https://", is_refused=True)
        sockets = _Sockets()
        _sockets.set(sockets)
        try:
            async with asyncio.timeout(call.timeout_s):
                return await self._made(call)
        except TimeoutError:
            return Answer(error=f"no answer within {call.timeout_s:g} s", timed_out=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if sockets.any_opened:
                return Answer(error=_in_words(error))
            if sockets.refusals:
                return Answer(error=f"the call is refused: {', '.join(sockets.refusals)}", is_refused=True)
            return Answer(error=_in_words(error), is_refused=isinstance(error, ValueError))

    async def close(self) -> None:
        """Close its connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _made(self, call: Call) -> Answer:
        headers = {name: value for name, value in call.headers.items() if name.lower() not in _COMPUTED}
        async with self._opened().request(
            call.method,
            call.url,
            headers=headers,
            data=call.body,
            allow_redirects=False,
            middlewares=(_Once(),),
        ) as response:
            headers = _joined(response)
            content_type = storable(response.headers.get("Content-Type", "")) or None
            answer = Answer(response.status, headers, content_type)
            try:
                content = await self._content(response)
            except TooLarge:
                return _with(answer, error=f"the answer is larger than {self._most_bytes} bytes: not kept")
            return _with(answer, content=_decoded(content, response.charset))

    async def _content(self, response: aiohttp.ClientResponse) -> bytes:
        chunks, size = [], 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > self._most_bytes:
                response.close()
                raise TooLarge
            chunks.append(chunk)
        return b"".join(chunks)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=0, keepalive_timeout=IDLE_S, socket_factory=self._socket, enable_cleanup_closed=False
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "postmill", "Accept-Encoding": "identity"},
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _socket(self, found: AddrInfoType) -> socket.socket:
        """The socket for one address, the very one that is connected to next."""
        family, kind, protocol, _, address = found
        refusal = self._guard.refusal(str(address[0]))
        sockets = _sockets.get(_Sockets())
        if refusal is not None:
            sockets.refusals.append(refusal)
            raise AddressRefused(refusal)
        sockets.any_opened = True
        return socket.socket(family, kind, protocol)


def _joined(response: aiohttp.ClientResponse) -> dict[str, str]:
    headers: dict[str, str] = {}
    for given, value in response.headers.items():
        name = storable(f"{given}")  # aiohttp's own kind of string would be no key for an encoder
        known = headers.get(name)
        headers[name] = storable(value if known is None else f"{known}, {value}")
    return headers


def _with(answer: Answer, *, content: str | None = None, error: str | None = None) -> Answer:
    return Answer(answer.status, answer.headers, answer.content_type, content, error)


def _decoded(content: bytes, charset: str | None) -> str:
    try:
        return storable(content.decode(charset or "utf-8", "replace"))
    except (LookupError, UnicodeError):
        return storable(content.decode("utf-8", "replace"))


def _in_words(error: BaseException) -> str:
    """Without the URL, which may hold a secret, and in another spelling than the secret's own."""
    text = str(error)
    if isinstance(error, aiohttp.ClientResponseError):
        text = error.message
    elif isinstance(error, aiohttp.InvalidURL):
        text = "the URL can't be read"
    return storable(f"{type(error).__name__}: {text}".removesuffix(": "))
