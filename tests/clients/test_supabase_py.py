"""`functions.invoke` of supabase-py, unmodified, in its oldest version we care for and in a current one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.clients.conftest import Client


@pytest.mark.parametrize("kind", [False, True], ids=["sync", "async"])
def test_a_call_is_a_post_with_json(python: Client, kind: bool) -> None:
    options = {"body": {"a": 1}, "responseType": "json", "headers": {"x-mine": "1"}}
    seen = python("echo", options=options, **{"async": kind})["data"]
    assert (seen["method"], seen["content-type"], seen["x-mine"]) == ("POST", "application/json", "1")
    assert json.loads(seen["body"]) == {"a": 1}
    assert seen["authorized"]


def test_text_is_sent_and_bytes_come_back(python: Client) -> None:
    assert json.loads(python("echo", options={"body": "plain"})["data"])["body"] == "plain"
    assert python("content")["data"] == '{"ok":true}'


def test_a_region_is_asked_for(python: Client) -> None:
    seen = python("echo", options={"region": "eu-west-1", "responseType": "json"})["data"]
    assert "forceFunctionRegion=eu-west-1" in seen["query"]


@pytest.mark.parametrize(
    ("function", "status", "told"),
    [
        ("nobody", 404, "no function"),
        ("unimportable", 503, "could not be started"),
        ("raising", 500, ""),
        ("dying", 500, ""),
        ("slow", 504, ""),
    ],
)
def test_each_failure_is_an_error_with_its_message(
    python: Client, function: str, status: int, told: str
) -> None:
    """Version 2.30 reads `error` of the body and breaks on one that is no object."""
    error = python(function)["error"]
    assert error["name"] in {"FunctionsHttpError", "FunctionsRelayError"}
    assert error["status"] == status
    assert error["message"]
    assert told in error["message"]
    assert "PRIVATE" not in error["message"]
