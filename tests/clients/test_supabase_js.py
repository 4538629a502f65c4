"""`functions.invoke` of supabase-js, unmodified: each content type, each class of error, abort, streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.clients.conftest import Client


@pytest.mark.parametrize(
    ("form", "kind", "value"),
    [
        ("json", "json", {"ok": True}),
        ("charset", "json", {"ok": True}),
        ("text", "text", "plain"),
        ("html", "text", "<p>"),
        ("bytes", "blob", "raw"),
        ("form", "form", {"a": "1"}),
        ("stream", "stream", "data: 0\n\ndata: 1\n\ndata: 2\n\n"),
    ],
)
def test_each_content_type_arrives_as_its_own_kind(
    javascript: Client, form: str, kind: str, value: Any
) -> None:
    answer = javascript(f"content?as={form}")
    assert answer["error"] is None
    assert (answer["data"]["kind"], answer["data"]["value"]) == (kind, value)


def test_an_empty_answer_is_no_error(javascript: Client) -> None:
    assert javascript("content?as=empty")["error"] is None


@pytest.mark.parametrize(
    ("body", "content_type", "sent"),
    [
        ({"a": 1}, "application/json", '{"a":1}'),
        ("plain", "text/plain", "plain"),
        ({"kind": "blob", "value": "raw"}, "application/octet-stream", "raw"),
    ],
)
def test_each_kind_of_body_is_sent_as_what_it_is(
    javascript: Client, body: Any, content_type: str, sent: str
) -> None:
    seen = javascript("echo", options={"body": body})["data"]["value"]
    assert (seen["method"], seen["content-type"], seen["body"]) == ("POST", content_type, sent)
    assert seen["authorized"]


def test_a_form_is_sent_with_its_boundary(javascript: Client) -> None:
    seen = javascript("echo", options={"body": {"kind": "form", "value": {"a": "1"}}})["data"]["value"]
    assert seen["content-type"].startswith("multipart/form-data; boundary=")
    assert 'name="a"' in seen["body"]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_every_method_and_header_arrives(javascript: Client, method: str) -> None:
    seen = javascript("echo/sub", options={"method": method, "headers": {"x-mine": "1"}})["data"]["value"]
    assert (seen["method"], seen["x-mine"]) == (method, "1")


def test_a_region_is_asked_for_and_echoed(javascript: Client) -> None:
    answer = javascript("echo", options={"region": "eu-west-1"})
    assert answer["region"] == "eu-west-1"
    assert answer["data"]["value"]["x-region"] == "eu-west-1"


@pytest.mark.parametrize(
    ("function", "error", "status", "code"),
    [
        ("nobody", "FunctionsRelayError", 404, "NOT_FOUND"),
        ("unimportable", "FunctionsRelayError", 503, "BOOT_ERROR"),
        ("raising", "FunctionsHttpError", 500, "EDGE_FUNCTION_ERROR"),
        ("dying", "FunctionsHttpError", 500, "WORKER_ERROR"),
        ("slow", "FunctionsHttpError", 504, "IDLE_TIMEOUT"),
    ],
)
def test_each_failure_is_an_error_of_the_right_class(
    javascript: Client, function: str, error: str, status: int, code: str
) -> None:
    told = javascript(function)["error"]
    assert (told["name"], told["status"], told["code"]) == (error, status, code)
    assert told["body"]["code"] == code
    assert "PRIVATE" not in str(told)


def test_wrong_credentials_are_a_relay_error(javascript: Client) -> None:
    told = javascript("echo", options={"headers": {"Authorization": "Bearer nonsense"}})["error"]
    assert (told["name"], told["status"], told["code"]) == (
        "FunctionsRelayError",
        401,
        "UNAUTHORIZED_INVALID_JWT_FORMAT",
    )


def test_a_body_that_is_too_large_is_told(javascript: Client) -> None:
    told = javascript("echo", options={"body": "x" * 600_000})["error"]
    assert (told["name"], told["status"], told["code"]) == ("FunctionsRelayError", 413, "PAYLOAD_TOO_LARGE")


def test_an_error_of_the_functions_own_arrives_as_it_is(javascript: Client) -> None:
    told = javascript("content?as=refused")["error"]
    assert (told["name"], told["status"], told["code"]) == ("FunctionsHttpError", 418, None)
    assert told["body"] == {"error": "the function's own"}


def test_an_abort_and_a_timeout_end_the_call(javascript: Client) -> None:
    for case in ({"abort_after_ms": 100}, {"options": {"timeout": 100}}):
        answer = javascript("slow", **case)
        assert answer["error"]["name"] == "FunctionsFetchError"
