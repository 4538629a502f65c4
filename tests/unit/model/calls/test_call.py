"""What is filled into a call, what an answer asks for, and what it means for a message."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from postmill.model.calls.call import (
    LONGEST_WAIT_S,
    Answer,
    Call,
    MissingSecret,
    asked_wait_s,
    filled,
    hidden,
)
from postmill.model.calls.call_queue import CallQueue, FunctionHost, outcome_of
from postmill.model.queue.outcome import Completed, Retry
from postmill.model.queue.retry import Dead

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_secrets_are_filled_in_once_and_hidden_again() -> None:
    secrets = {"A": "{{secret:B}}", "B": "b", "LONG": "bb"}
    assert filled("x {{secret:A}} {{secret:B}}", secrets) == "x {{secret:B}} b"
    assert filled("{{ secret:A }} {secret:A}", secrets) == "{{ secret:A }} {secret:A}"
    assert hidden("host bb", {"B": "b", "LONG": "bb", "EMPTY": ""}) == "host {{secret:LONG}}"
    with pytest.raises(MissingSecret, match="NONE"):
        filled("{{secret:NONE}}", secrets)


def test_nothing_that_is_printed_shows_a_key() -> None:
    call = Call("GET", "http://x/?key=s3cret", {"Authorization": "s3cret"})
    host = FunctionHost("http://x", "s3cret")
    queue = CallQueue("q", None, "http://x/?key=s3cret", {"A": "s3cret"}, 1, 1.0)
    assert "s3cret" not in repr((call, host, queue))


@pytest.mark.parametrize(
    ("status", "value", "wait_s"),
    [
        (429, "7", 7.0),
        (503, " 7 ", 7.0),
        (503, "Tue, 01 Jan 2030 00:01:00 GMT", 60.0),
        (503, "Mon, 31 Dec 2029 00:00:00 GMT", 0.0),
        (429, "9" * 400, LONGEST_WAIT_S),
        (429, "-1", None),
        (429, "soon", None),
        (429, "Tue, 99 Jan 2030 00:01:00 GMT", None),
        (429, "", None),
        (500, "7", None),
    ],
)
def test_how_long_a_server_asks_to_wait(status: int, value: str, wait_s: float | None) -> None:
    assert asked_wait_s(Answer(status, {"retry-AFTER": value}), NOW) == wait_s


def test_what_an_answer_means_for_a_message() -> None:
    done = outcome_of(Answer(201, {"A": "b"}, "application/json", '{"x": 1}'), NOW)
    assert isinstance(done, Completed)
    assert done.result == {"status": 201, "headers": {"A": "b"}, "body": {"x": 1}}
    text = outcome_of(Answer(200, {}, "application/json", "{"), NOW)
    assert isinstance(text, Completed)
    assert text.result["body"] == "{"
    for failed in (
        Answer(199),
        Answer(300),
        Answer(500),
        Answer(error="gone"),
        Answer(200, error="too large"),
    ):
        assert isinstance(outcome_of(failed, NOW), Retry)
    assert isinstance(outcome_of(Answer(error="no address", is_refused=True), NOW), Dead)


def test_which_calls_may_pass_by_themselves() -> None:
    assert all(Answer(status).may_pass for status in (408, 425, 429, 500, 503))
    assert not any(Answer(status).may_pass for status in (200, 302, 400, 401, 404))
    assert Answer(error="reset").may_pass
    assert not Answer(error="no", is_refused=True).may_pass


def test_the_service_key_goes_to_functions_only() -> None:
    host = FunctionHost("http://host", "key")
    function = CallQueue("q", "resize", None, {"authorization": "other", "X": "1"}, 3, 5.0)
    call = function.call_of("{}", host, {})
    assert call.url == "http://host/functions/v1/resize"
    assert call.headers == {"X": "1", "Content-Type": "application/json", "Authorization": "Bearer key"}
    url = CallQueue("q", None, "http://other/", {"content-type": "text/plain"}, 3, 5.0)
    assert url.call_of("{}", host, {}).headers == {"content-type": "text/plain"}
    with pytest.raises(Retry, match="served nowhere"):
        function.call_of("{}", None, {})
