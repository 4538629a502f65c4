"""Functions of the host in this process: how they do, and starting, stopping or replacing them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from msgspec import Struct

from postmill.api.problem import Failure
from postmill.api.route import Named, resource

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from postmill.api.desk import Desk
    from postmill.model.functions.steering import SteeredFunctions


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
    found = [
        Function(
            function=each.slug,
            kind=each.kind,
            state=each.state,
            instances=each.instances,
            why=each.why,
            verify_jwt=each.settings.verify_jwt,
            policy=str(each.settings.policy),
        )
        for each in _host(desk).functions()
    ]
    return Functions(found)


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
    if path.function not in {each.slug for each in _host(desk).functions()}:
        raise Failure(
            HTTPStatus.NOT_FOUND, "not-found", f"There is no function {path.function}.", hint="GET /functions"
        )
    # The audit has it first: what is done to processes is no part of a transaction.
    await desk.note(f"function.{action}", {"function": path.function})
    await do(path.function)
    return Told(path.function, status)


def _host(desk: Desk) -> SteeredFunctions:
    if desk.house.functions is None:
        raise Failure(
            HTTPStatus.NOT_FOUND,
            "no-functions",
            "This process serves no functions.",
            hint="Ask the one that does: postmill serve or postmill dev.",
        )
    return desk.house.functions
