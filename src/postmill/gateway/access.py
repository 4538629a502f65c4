"""Which caller may call which route, as wrappers round an application; and preflights, which a browser sends
without credentials before it calls a function of another origin (Fetch standard, CORS).

The gateway answers preflights itself, so that no function runs without credentials. When the function is to
answer, it gets the request without a body. Where the gateway has answered, it also lets the browser read the
function's answer, unless the function says itself what may be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from postmill.auth import run_token, viewer_token
from postmill.auth.credentials import Denied, Granted, authenticate
from postmill.gateway import platform_errors
from postmill.gateway.platform_errors import METHODS, PlatformFailure
from postmill.gateway.run_requests import run_number
from postmill.model.functions.failures import FunctionFailure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from postmill.gateway.functions import Functions
    from postmill.gateway.trust import Trust
    from postmill.gateway.wrappers import Application, Response
    from postmill.model.functions.settings import FunctionSettings
    from postmill.web.asgi import Headers, Message, Receive, Scope

SERVICE_ROLE = "service_role"
_PROVING = frozenset({b"authorization", b"apikey"})
_OF_A_BODY = frozenset({b"content-length", b"transfer-encoding", b"content-type", b"content-encoding"})


class Credentials:
    """What the headers of a request prove. ``trust`` is asked each time: keys change while it runs."""

    def __init__(self, trust: Trust, clock: Callable[[], float]) -> None:
        self._trust = trust
        self._clock = clock

    async def of(self, scope: Scope) -> Granted:
        """What they prove. Raises :class:`PlatformFailure` when they prove nothing, or are the token of a
        run or a key to the dashboard, which open nothing else.
        """
        granted = await self._proven(scope["headers"])
        if granted.role == run_token.ROLE:
            raise PlatformFailure(platform_errors.OF_ONE_RUN)
        if viewer_token.is_for_viewers(granted):
            raise PlatformFailure(platform_errors.OF_A_VIEWER)
        return granted

    async def check_reader(self, scope: Scope, run_id: str) -> None:
        """Raise :class:`PlatformFailure` unless they let their bearer read a run: the service role's do, and
        the run's own token, which may also be in the query, for a browser's ``EventSource`` sends no header.
        """
        in_query = _token_in(scope)
        granted = await self._proven(scope["headers"] if in_query is None else in_query)
        if granted.role == SERVICE_ROLE and in_query is None:
            return
        if not run_token.opens(granted, run_number(run_id)):
            raise PlatformFailure(platform_errors.NOT_THIS_RUN)

    async def _proven(self, headers: Headers) -> Granted:
        verdict = authenticate(headers, self._trust(), self._clock())
        if isinstance(verdict, Denied) and verdict.unknown_key:
            verdict = authenticate(headers, await self._trust.renewed(), self._clock())
        if isinstance(verdict, Denied):
            raise PlatformFailure(platform_errors.unauthorized(verdict.reason))
        return verdict


class RequireServiceRole:
    """Only the service role gets an answer."""

    def __init__(self, application: Callable[..., Awaitable[None]], credentials: Credentials) -> None:
        self._application = application
        self._credentials = credentials

    async def __call__(self, scope: Scope, receive: Receive, response: Response, *names: str) -> None:
        """Raise :class:`PlatformFailure` for every other caller."""
        if (await self._credentials.of(scope)).role != SERVICE_ROLE:
            raise PlatformFailure(platform_errors.FORBIDDEN)
        await self._application(scope, receive, response, *names)


class RequireReader:
    """The service role gets an answer, and so does the token of the run that the path names first. A page
    of any origin may read it: what it proves with is in the page's own hands, and no browser adds it.
    """

    def __init__(self, application: Callable[..., Awaitable[None]], credentials: Credentials) -> None:
        self._application = application
        self._credentials = credentials

    async def __call__(
        self, scope: Scope, receive: Receive, response: Response, run_id: str, *names: str
    ) -> None:
        """Raise :class:`PlatformFailure` for every other caller."""
        if is_preflight(scope):
            await allow(scope, response)
            return
        await self._credentials.check_reader(scope, run_id)
        response.is_readable = comes_from_a_page(scope)
        await self._application(scope, receive, response, run_id, *names)


class Authenticate:
    """A function is called with credentials of any role. Its settings are ``scope["function"]``."""

    def __init__(
        self, call: Application, ask: Application, functions: Functions, credentials: Credentials
    ) -> None:
        """``call`` has the function answer a call, and ``ask`` a preflight."""
        self._call = call
        self._ask = ask
        self._functions = functions
        self._credentials = credentials

    def __call__(self, scope: Scope, receive: Receive, response: Response) -> Awaitable[None]:
        """Raise :class:`PlatformFailure` when the credentials prove nothing."""
        settings: FunctionSettings = scope["function"]
        if is_preflight(scope):
            return self._answer_preflight(settings, scope, receive, response)
        return self._call_checked(settings, scope, receive, response)

    async def _call_checked(
        self, settings: FunctionSettings, scope: Scope, receive: Receive, response: Response
    ) -> None:
        await self._credentials.of(scope)
        if comes_from_a_page(scope):  # what was let through a preflight may also be read
            response.is_readable = not await self._answers_preflights(settings)
        await self._call(scope, receive, response)

    async def _answer_preflight(
        self, settings: FunctionSettings, scope: Scope, receive: Receive, response: Response
    ) -> None:
        """No function runs without credentials, unless it is to answer preflights; then it gets no body."""
        if await self._answers_preflights(settings):
            await self._ask(without_body(scope), receive, response)
        else:
            await allow(scope, response)

    async def _answers_preflights(self, settings: FunctionSettings) -> bool:
        """Whether the function does. One that can't be started does not: a browser shows why only when its
        preflight has succeeded.
        """
        if settings.preflight:
            return settings.preflight == "function"
        try:
            return await self._functions.kind_of(settings.slug) == "app"
        except FunctionFailure:
            return False


class DropBody:
    """The application gets no body, whatever the client sends."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, scope: Scope, receive: Receive, response: Response) -> Awaitable[None]:
        """An empty body, and then the end of the connection."""
        return self._application(scope, _DroppedBody(receive), response)


class _DroppedBody:
    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_told = False

    async def __call__(self) -> Message:
        if not self._is_told:
            self._is_told = True
            return {"type": "http.request", "body": b"", "more_body": False}
        while (message := await self._receive())["type"] == "http.request":
            pass
        return message


def _token_in(scope: Scope) -> Headers | None:
    """The ``token`` of the query as the header that it stands for; None when there is none, or a header
    proves something already.
    """
    if any(name in _PROVING for name, _ in scope["headers"]):
        return None
    tokens = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token")
    return None if tokens is None else [(b"authorization", f"Bearer {token}".encode()) for token in tokens]


def is_preflight(scope: Scope) -> bool:
    """Whether a browser asks, and not a caller that sends OPTIONS."""
    if scope.get("method") != "OPTIONS":
        return False
    names = {name for name, value in scope["headers"] if value}
    return {b"origin", b"access-control-request-method"} <= names


def comes_from_a_page(scope: Scope) -> bool:
    """Whether a browser asks for a page that may be of another origin."""
    return scope["type"] == "http" and any(name == b"origin" for name, _ in scope["headers"])


def without_body(scope: Scope) -> Scope:
    """The scope of a request that announces no body."""
    return {**scope, "headers": [each for each in scope["headers"] if each[0] not in _OF_A_BODY]}


async def allow(scope: Scope, response: Response) -> None:
    """Allow the origin what it asks for. Whether it may do that is for its credentials to say, later."""
    origin = b", ".join(_values(scope, b"origin"))
    asked = b", ".join(_values(scope, b"access-control-request-headers"))
    headers = [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-methods", ", ".join(METHODS).encode()),
        (b"vary", b"Origin"),
    ]
    if asked:
        headers.append((b"access-control-allow-headers", asked))
    await response({"type": "http.response.start", "status": 204, "headers": headers})
    await response({"type": "http.response.body", "body": b""})


def _values(scope: Scope, wanted: bytes) -> list[bytes]:
    return [value for name, value in scope["headers"] if name == wanted]
