"""From a request to a resource's arguments, and from what it returns to an answer."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from postmill.api.problem import MEDIA_TYPE, Failure, Problem, fields_of, problem_of
from postmill.api.route import Nothing
from postmill.model.errors import PostmillError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.datastructures import Headers, QueryParams
    from starlette.requests import Request

    from postmill.api.desk import Desk
    from postmill.api.route import Resource

MOST_BYTES = 1024 * 1024
"""Bytes of a request's body at most. 1 MiB: a message's payload of the default size fits."""
_encoder = msgspec.json.Encoder()


async def answer(resources: Mapping[str, Resource], request: Request, desk: Desk) -> Response:
    """Answer a request by the resource of its method, or with a problem."""
    try:
        asked = _by_method(resources, request.method)
        arguments = await _arguments(asked, request)
        found = await asked.answer(desk, **arguments)
    except Failure as failure:
        return told(failure.problem, failure.headers)
    except PostmillError as error:
        return told(problem_of(error))
    return Response(
        b"" if request.method == "HEAD" else _encoder.encode(found),
        asked.status,
        {"cache-control": "no-store"},
        "application/json",
    )


def told(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """A problem as an answer."""
    return Response(
        _encoder.encode(fields_of(problem)),
        problem.status,
        {"cache-control": "no-store", **(headers or {})},
        MEDIA_TYPE,
    )


def _by_method(resources: Mapping[str, Resource], method: str) -> Resource:
    found = resources.get("GET" if method == "HEAD" else method)
    if found is None:
        allowed = ", ".join(sorted(resources))
        raise Failure(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "method-not-allowed",
            f"{method} is not offered here.",
            hint=f"Offered: {allowed}.",
            headers={"allow": allowed},
        )
    return found


async def _arguments(asked: Resource, request: Request) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if asked.in_path is not Nothing:
        given["path"] = _converted(request.path_params, asked.in_path)
    query = _converted(_once(request.query_params), asked.query)
    if asked.query is not Nothing:
        given["query"] = query
    if asked.body is not None:
        given["body"] = await _body(asked.body, request)
    return given


def _converted(values: Mapping[str, Any], into: type[msgspec.Struct]) -> Any:
    try:
        return msgspec.convert(dict(values), into, strict=False)
    except msgspec.ValidationError as error:
        raise _bad(str(error)) from error


def _once(query: QueryParams) -> dict[str, str]:
    doubled = [name for name in query if len(query.getlist(name)) > 1]
    if doubled:
        raise _bad(f"{doubled[0]} is given more than once.")
    return dict(query)


async def _body(kind: Any, request: Request) -> Any:
    _check_type(request.headers)
    read = bytearray()
    async for part in request.stream():
        read += part
        if len(read) > MOST_BYTES:
            raise Failure(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "payload-too-large",
                f"The body is larger than {MOST_BYTES:,} bytes.",
            )
    try:
        return msgspec.json.decode(bytes(read), type=kind)
    except msgspec.ValidationError as error:
        raise Failure(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-payload", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Failure(
            HTTPStatus.BAD_REQUEST, "invalid-payload", "The body is no JSON.", why=str(error)
        ) from error


def _check_type(headers: Headers) -> None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Failure(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            f"The body is {kind or 'of no stated type'}.",
            hint="Send content-type: application/json.",
        )


def _bad(what: str) -> Failure:
    return Failure(HTTPStatus.BAD_REQUEST, "invalid-option", what)
