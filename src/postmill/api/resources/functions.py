"""Functions of the host in this process: how they do, calling one, starting, stopping, replacing them."""

from __future__ import annotations

import time
from dataclasses import fields
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, Struct

from postmill.api.exchange import MOST_SENT, MOST_SHOWN, Exchange
from postmill.api.problem import Failure
from postmill.api.route import Named, resource
from postmill.api.shape import Moment
from postmill.model.functions.failures import FunctionFailure
from postmill.model.option_rules import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from postmill.api.desk import Desk
    from postmill.model.functions.function_info import FunctionInfo
    from postmill.model.functions.steering import WatchedFunctions


class Function(Struct, kw_only=True):
    """A function. ``why``: what keeps its files from being served as they are."""

    function: str
    kind: str | None = None
    state: str
    instances: int
    why: str | None = None
    verify_jwt: bool
    policy: str


class Functions(Struct):
    """Functions, by name."""

    items: list[Function]


class FunctionLimit(Struct):
    """What an instance may use at most, in the unit of its name; null: any amount."""

    name: str
    most: float | None


class LogLine(Struct, kw_only=True):
    """A line that the function has written (``function.log``), or an event of one of its processes."""

    at: Moment
    event: str
    text: str
    execution: str


class Requests(Struct):
    """Requests in a minute, and how many of them have had no answer of the function's own."""

    minute: Moment
    requests: int
    errors: int


class WholeFunction(Function, kw_only=True):
    """One function with its limits, and what it has done lately as far as its process remembers that."""

    concurrency: int
    most_instances: int
    limits: list[FunctionLimit]
    minutes: list[Requests]
    lines: list[LogLine]


class FunctionCall(Struct, forbid_unknown_fields=True, kw_only=True):
    """A request for a function: ``path`` is below its own."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    path: Annotated[str, Meta(max_length=2000, pattern="^/[!-~]*$")] = "/"
    headers: Annotated[dict[str, str], Meta(max_length=100)] = {}
    body: Annotated[str, Meta(max_length=MOST_SENT)] = ""


class Answer(Struct, kw_only=True):
    """What a function has answered. ``cut``: the body is longer than what is shown of it."""

    status: int
    headers: dict[str, str]
    body: str
    cut: bool = False
    took_ms: float


class InFunction(Struct):
    """The path of a function."""

    function: Named


class Told(Struct):
    """What was done to a function."""

    function: str
    status: str


@resource("GET", "/functions", out=Functions)
async def list_functions(desk: Desk) -> Functions:
    """Every function with its state."""
    return Functions([Function(**_facts(each)) for each in _host(desk).functions()])


@resource("GET", "/functions/{function}", out=WholeFunction, in_path=InFunction)
async def show_function(desk: Desk, path: InFunction) -> WholeFunction:
    """One function with its limits, its requests of the last hour by minute, and its last lines."""
    found, recent = _known(desk, path), _host(desk).recent
    settings = found.settings
    return WholeFunction(
        **_facts(found),
        concurrency=settings.at_a_time,
        most_instances=settings.instances,
        limits=[
            FunctionLimit(each.name, getattr(settings.limits, each.name)) for each in fields(settings.limits)
        ],
        minutes=[
            Requests(_moment(each.minute * 60), each.requests, each.errors)
            for each in recent.minutes(path.function)
        ],
        lines=[
            LogLine(at=_moment(each.at), event=each.event, text=each.text, execution=each.execution)
            for each in recent.lines(path.function)
        ],
    )


@resource("POST", "/functions/{function}/call", out=Answer, in_path=InFunction, body=FunctionCall)
async def call_function(desk: Desk, path: InFunction, body: FunctionCall) -> Answer:
    """Send a function one request, past the gateway and its keys, and give the answer as text."""
    _known(desk, path)
    await desk.note("function.call", {"function": path.function, "method": body.method, "path": body.path})
    exchange, began = Exchange(path.function, body), time.monotonic()
    try:
        await _host(desk).handle(path.function, exchange.scope, exchange.receive, exchange.send)
    except FunctionFailure as error:
        raise Failure(
            HTTPStatus.BAD_GATEWAY,
            "function-failed",
            error.what,
            hint=f"Its last lines say more: GET /functions/{path.function}",
        ) from error
    took_ms = round((time.monotonic() - began) * 1000, 1)
    text = exchange.body[:MOST_SHOWN].decode("utf-8", "replace")
    return Answer(
        status=exchange.status,
        headers=exchange.headers,
        body=text,
        cut=len(exchange.body) > MOST_SHOWN,
        took_ms=took_ms,
    )


@resource("POST", "/functions/{function}/start", out=Told, in_path=InFunction)
async def start_function(desk: Desk, path: InFunction) -> Told:
    """Start a function that does not run: a worker that was stopped, or one that failed to start."""
    return await _tell(desk, path, "start", _host(desk).start_function, "started")


@resource("POST", "/functions/{function}/stop", out=Told, in_path=InFunction)
async def stop_function(desk: Desk, path: InFunction) -> Told:
    """Stop every process of a function gracefully. Its next request starts it again, or ``start``."""
    return await _tell(desk, path, "stop", _host(desk).stop_function, "stopped")


@resource("POST", "/functions/{function}/recycle", out=Told, in_path=InFunction)
async def recycle_function(desk: Desk, path: InFunction) -> Told:
    """Replace every process of a function: a new one serves before the old one ends."""
    return await _tell(desk, path, "recycle", _host(desk).recycle, "recycled")


async def _tell(
    desk: Desk, path: InFunction, action: str, do: Callable[[str], Awaitable[None]], status: str
) -> Told:
    _known(desk, path)
    # The audit has it first: what is done to processes is no part of a transaction.
    await desk.note(f"function.{action}", {"function": path.function})
    await do(path.function)
    return Told(path.function, status)


def _known(desk: Desk, path: InFunction) -> FunctionInfo:
    known = {each.slug: each for each in _host(desk).functions()}
    if path.function in known:
        return known[path.function]
    hint = did_you_mean(path.function, known) or "GET /functions"
    raise Failure(HTTPStatus.NOT_FOUND, "not-found", f"There is no function {path.function}.", hint=hint)


def _facts(info: FunctionInfo) -> dict[str, Any]:
    return {
        "function": info.slug,
        "kind": info.kind,
        "state": info.state,
        "instances": info.instances,
        "why": info.why,
        "verify_jwt": info.settings.verify_jwt,
        "policy": str(info.settings.policy),
    }


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _host(desk: Desk) -> WatchedFunctions:
    if desk.house.functions is None:
        raise Failure(
            HTTPStatus.NOT_FOUND,
            "no-functions",
            "This process serves no functions.",
            hint="Ask the one that does: postmill serve or postmill dev.",
        )
    return desk.house.functions
