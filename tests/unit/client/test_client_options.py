"""Options of a send: what is refused before anything is sent, and what the statement gets."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postmill import Sent, Then
from postmill.client import sending
from postmill.model.errors import InvalidOption, InvalidPayload, InvalidQueueName
from postmill.model.queue.payload import to_json

SOURCE = Sent(17, "resize")


def rows(statement: sending.Statement) -> list[dict[str, Any]]:
    """What each message of a statement asks for; the statement has it by option."""
    lists: dict[str, list[Any]] = json.loads(str(statement.arguments[3]))
    messages = range(str(statement.arguments[0]).count("\n") + 1)
    each = ({name: values[place] for name, values in lists.items()} for place in messages)
    return [{name: value for name, value in found.items() if value is not None} for found in each]


def entry(**options: Any) -> dict[str, Any]:
    """What the only message of a statement asks for."""
    (found,) = rows(sending.one("q", 1, **options))
    return found


def entries(payloads: list[Any], **options: Any) -> list[list[dict[str, Any]]]:
    """The same of each message, in each statement."""
    statements = sending.many("q", payloads, **options)
    return [rows(each) for each in statements]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"uniqe_key": "a"}, "Did you mean unique_key?"),
        ({"unique_key": ""}, "has 0 characters"),
        ({"unique_key": "x" * 201}, "has 201 characters"),
        ({"unique_key": 7}, r"is of type int; it must be a string. Give str\(unique_key\)"),
        ({"unique_key": ["a"]}, "unique_key=lambda payload"),
        ({"unique_key": "a\0"}, r"holds '\\x00', which Postgres can't store"),
        ({"group_key": "a\ud83d"}, r"holds '\\ud83d', which Postgres can't store"),
        ({"unique_for": 5}, "says something about a unique key"),
        ({"on_conflict": "raise", "unique_key": None}, "says something about a unique key"),
        ({"unique_key": "a", "unique_for": 0}, "more than 0"),
        ({"unique_key": "a", "unique_for": timedelta(days=40_000)}, "at most 36,525 days"),
        ({"unique_key": "a", "unique_for": "1h"}, "seconds or a timedelta"),
        ({"unique_key": "a", "unique_for": True}, "seconds or a timedelta"),
        ({"unique_key": "a", "on_conflict": "replac"}, "Did you mean replace?"),
        ({"priority": 10}, "from 0 to 9"),
        ({"priority": -1}, "from 0 to 9"),
        ({"priority": True}, "from 0 to 9"),
        ({"priority": 1.0}, "from 0 to 9"),
        ({"group_key": ""}, "group_key"),
        ({"group_key": 3}, "group_key"),
        ({"after": 17}, r"Give \('its-queue', 17\)"),
        ({"after": "resize"}, "names no message"),
        ({"after": "#3"}, "in the first batch of a send_many"),
        ({"after": [("resize", -1)]}, "names no message"),
        ({"after": ("resize", True)}, "names no message"),
        ({"after": [SOURCE, None]}, "names no message"),
        ({"after": 5.0}, "names no message"),
        ({"after": SOURCE, "on_source_dead": "wait"}, "cancel, skip, block"),
        ({"then_send": "emails"}, r"Give Then\("),
        ({"else_send": {"queue": "emails"}}, r"Give Then\("),
        ({"then_send": Then("emails", 1, priority=11)}, "from 0 to 9"),
        ({"then_send": Then("emails", 1, delay=-1)}, "0, and at most"),
        ({"priority": 1, "delay": 1, "run_at": datetime.now(UTC)}, "both"),
        ({"run_at": datetime(9999, 1, 1, tzinfo=UTC)}, "before the year 9999"),
        ({"priority": 1, "run_at": datetime(9999, 6, 1, tzinfo=UTC)}, "before the year 9999"),
        ({"run_at": "tomorrow"}, "no moment"),
    ],
)
def test_a_mistake_is_told_before_anything_is_sent(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidOption, match=says):
        sending.one("q", 1, **options)


def test_headers_of_a_job_are_an_object() -> None:
    with pytest.raises(InvalidPayload, match="headers"):
        sending.one("q", 1, priority=1, headers=[1])  # type: ignore[arg-type]


def test_an_unknown_option_of_a_follower_is_refused() -> None:
    with pytest.raises(InvalidOption, match="unique_key, priority"):
        Then("q", 1, on_conflict="skip")


def test_a_follower_goes_to_a_queue_that_can_be_there() -> None:
    with pytest.raises(InvalidQueueName):
        Then("", 1)


def test_plain_sends_keep_their_statement() -> None:
    """A queue that uses none of it pays nothing: neither for an option that is None, nor for being asked."""
    plain = sending.one("q", 1)
    unused = dict.fromkeys(("unique_key", "priority", "group_key", "after", "then_send", "else_send"))
    assert sending.one("q", 1, **unused) == plain  # type: ignore[arg-type]
    assert plain.text.startswith("insert into")
    assert "send_jobs" in sending.one("q", 1, priority=0).text


def test_what_a_message_asks_for() -> None:
    found = entry(unique_key="a", priority=0, group_key="g", headers={"h": None}, after=SOURCE)
    assert found == {
        "unique_key": "a",
        "priority": 0,
        "group_key": "g",
        "headers": {"h": None},
        "after": ["resize:17"],
    }


@pytest.mark.parametrize(
    ("after", "refs"),
    [
        ("resize:17", ["resize:17"]),
        (("resize", 17), ["resize:17"]),
        (("resize", SOURCE), ["resize:17"]),
        ([SOURCE, "b:2", ("c", 3), SOURCE], ["resize:17", "b:2", "c:3"]),
        ((SOURCE, Sent(2, "b")), ["resize:17", "b:2"]),
        (("b:2", SOURCE), ["b:2", "resize:17"]),
        ((f"x:{n}" for n in (1, 2)), ["x:1", "x:2"]),
    ],
)
def test_sources_are_named_in_each_way(after: Any, refs: list[str]) -> None:
    assert entry(after=after)["after"] == refs


def test_no_sources_are_nothing_to_wait_for() -> None:
    assert "after" not in entry(after=[], priority=1)


def test_each_option_of_many_is_a_value_or_a_function_of_the_payload() -> None:
    (batch,) = entries(
        [1, 2, 3], unique_key=str, priority=lambda n: n if n > 1 else None, group_key="g", headers=None
    )
    assert batch == [
        {"unique_key": "1", "group_key": "g"},
        {"unique_key": "2", "priority": 2, "group_key": "g"},
        {"unique_key": "3", "priority": 3, "group_key": "g"},
    ]


def test_sources_that_can_be_read_once_hold_for_each_message() -> None:
    """The first message waited for them, and no other one."""
    (batch,) = entries([1, 2], after=(f"x:{n}" for n in (1, 2)))
    assert batch == [{"after": ["x:1", "x:2"]}] * 2


def test_a_function_of_the_payload_is_called_once_for_each_message() -> None:
    """One that counts gave each message the next number but one, where another option was a function too."""
    numbers = iter(range(10))
    batches = entries([1, 1, 2], unique_key=lambda _: str(next(numbers)), delay=lambda n: n)
    assert batches == [[{"unique_key": "0"}, {"unique_key": "1"}], [{"unique_key": "2"}]]


def test_where_a_term_of_the_whole_statement_changes_another_one_begins() -> None:
    delays = [int(str(s.arguments[2])[0]) for s in sending.many("q", [1, 1, 2, 1], delay=lambda n: n)]
    assert delays == [1, 2, 1]
    assert len(entries([1, 2], then_send=lambda n: Then("q", n))) == 2
    assert len(entries([1, 2], then_send=lambda _: Then("q", 0))) == 1


def test_a_place_in_the_call_names_a_source_in_the_first_statement_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert entries([1, 2], after=lambda n: "#1" if n == 2 else None)[0][1] == {"after": ["#1"]}
    monkeypatch.setattr(sending, "BATCH_MESSAGES", 1)
    with pytest.raises(InvalidOption, match="names no message"):
        entries([1, 2], after=lambda n: "#1" if n == 2 else None)


def test_a_follower_is_what_sql_takes() -> None:
    then = Then(
        "emails", {"to": "ada"}, delay=timedelta(minutes=1), unique_key="k", priority=2, group_key="g"
    )
    arguments = sending.one("q", 1, then_send=then).arguments
    assert json.loads(str(arguments[7])) == {
        "queue": "emails",
        "message": {"to": "ada"},
        "delay_s": 60.0,
        "unique_key": "k",
        "priority": 2,
        "group_key": "g",
    }
    assert arguments[8] is None


def test_what_was_sent_is_its_id_and_knows_its_queue() -> None:
    assert (SOURCE, f"{SOURCE}", to_json({"id": SOURCE}), {17: 1}[SOURCE]) == (17, "17", b'{"id":17}', 1)
    for again in (copy.copy(SOURCE), copy.deepcopy(SOURCE), pickle.loads(pickle.dumps(SOURCE))):
        assert (again, again.queue, again.existed) == (17, "resize", False)
    assert (Sent(1, "q", existed=True).existed, SOURCE.ref) == (True, "resize:17")


def test_limits_are_checked() -> None:
    for wrong in ({"max_running": 0}, {"starts": 1}, {"per": 60}, {"starts": 1, "per": 0}):
        asked: dict[str, Any] = {"max_running": None, "starts": None, "per": None, **wrong}
        with pytest.raises(InvalidOption):
            sending.limiting("q", **asked)
