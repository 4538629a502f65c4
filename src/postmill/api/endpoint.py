"""From a request to a resource's arguments, and from what it returns to an answer."""

from __future__ import annotations

from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from postmill.api.body import read_body
from postmill.api.desk import Desk, Once, Repeated
from postmill.api.json_text import encode
from postmill.api.misfit import misfit
from postmill.api.problem import MEDIA_TYPE, Failure, Problem, check_no_nul, fields_of, problem_of
from postmill.api.route import Nothing
from postmill.model.errors import PostmillError
from postmill.model.queue.payload import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.datastructures import QueryParams
    from starlette.requests import Request

    from postmill.api.desk import House
    from postmill.api.route import Resource
    from postmill.api.viewer import Viewer

MOST_BYTES = 8 * 1024 * 1024
"""Bytes of a request's body at most. 8 MiB: a payload of 5 MB can be edited and replayed; what sends larger
ones has a connection to the database.
"""
LONGEST_KEY = 255
"""Characters of an ``Idempotency-Key`` at most: what other services allow, and far more than a UUID has."""
JSON = "application/json"
HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


async def answer(
    offered: Mapping[str, Resource], names: Mapping[str, str], request: Request, house: House, viewer: Viewer
) -> Response:
    """Answer a request by the resource of its method, or with a problem."""
    if request.method == "OPTIONS":
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={**HEADERS, "allow": _allowed(offered)})
    try:
        asked = _by_method(offered, request.method)
        body = await read_body(request, MOST_BYTES) if asked.method != "GET" else b""
        arguments = _arguments(asked, names, request, body, house.database)
        desk = Desk(house, viewer, _once(request, asked, body))
        found = await asked.answer(desk, **arguments)
    except Repeated as repeated:
        return Response(repeated.body, asked.status, {**HEADERS, "idempotency-replayed": "true"}, JSON)
    except Failure as failure:
        return told(failure.problem, failure.headers)
    except PostmillError as error:
        return told(problem_of(error))
    return Response(encode(found), asked.status, HEADERS, JSON)


def told(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """A problem as an answer."""
    return Response(encode(fields_of(problem)), problem.status, {**HEADERS, **(headers or {})}, MEDIA_TYPE)


def _allowed(offered: Mapping[str, Resource]) -> str:
    methods = {*offered, "OPTIONS"} | ({"HEAD"} if "GET" in offered else set())
    return ", ".join(sorted(methods))


def _by_method(offered: Mapping[str, Resource], method: str) -> Resource:
    found = offered.get("GET" if method == "HEAD" else method)
    if found is None:
        allowed = _allowed(offered)
        raise Failure(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "method-not-allowed",
            f"{method} is not offered here.",
            hint=f"Offered: {allowed}.",
            headers={"allow": allowed},
        )
    return found


def _arguments(
    asked: Resource, names: Mapping[str, str], request: Request, body: bytes, database: str
) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if asked.in_path is not Nothing:
        given["path"] = _converted(names, asked.in_path)
    values = _each_once(request.query_params)
    if values.pop("database", database) != database:
        raise Failure(
            HTTPStatus.NOT_FOUND,
            "database-not-found",
            "There is no database of that name.",
            hint=f"The one that is here is called {database}.",
        )
    query = _converted(values, asked.query)
    if asked.query is not Nothing:
        given["query"] = query
    if asked.body is not None:
        given["body"] = _decoded(asked.body, request, body)
    return given


def _converted(values: Mapping[str, Any], into: type[msgspec.Struct]) -> Any:
    check_no_nul(values.values())
    try:
        return msgspec.convert(dict(values), into, strict=False)
    except msgspec.ValidationError as error:
        raise _bad(*misfit(error)) from error


def _each_once(query: QueryParams) -> dict[str, str]:
    doubled = [name for name in query if len(query.getlist(name)) > 1]
    if doubled:
        raise _bad(f"{doubled[0]} is given more than once.")
    return dict(query)


def _decoded(kind: Any, request: Request, body: bytes) -> Any:
    """The body as its resource takes it; one that is left out is an object without members."""
    if body:
        _check_type(request)
    try:
        found = msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        what, why, hint = misfit(error)
        raise Failure(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-payload", what, why=why, hint=hint) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Failure(
            HTTPStatus.BAD_REQUEST, "invalid-json", "The body is not JSON that can be read.", why=f"{error}."
        ) from error
    to_json(msgspec.Raw(body or b"{}"))  # refuses what no table can hold
    return found


def _check_type(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if kind != JSON or coding != "identity":
        found = kind or "of no stated type" if coding == "identity" else f"coded as {coding}"
        raise Failure(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            f"The body is {found}.",
            hint=f"Send content-type: {JSON}.",
            headers={"accept": JSON},
        )


def _once(request: Request, asked: Resource, body: bytes) -> Once | None:
    key = request.headers.get("idempotency-key")
    if key is None or asked.method == "GET":
        return None
    if not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise _bad(f"An Idempotency-Key has 1 to {LONGEST_KEY} printable ASCII characters.")
    parts = (asked.method, asked.path, sorted(request.path_params.items()), request.url.query)
    return Once(key, sha256(msgspec.json.encode(parts) + b"\n" + body).hexdigest())


def _bad(what: str, why: str = "", hint: str = "") -> Failure:
    return Failure(HTTPStatus.BAD_REQUEST, "invalid-option", what, why=why, hint=hint)
