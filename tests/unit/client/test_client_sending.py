"""From arguments to statements, without a database."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postmill import AsyncClient, Client
from postmill.client import sending
from postmill.client.on_sqlalchemy import _in_style
from postmill.model.errors import InvalidAddress, InvalidOption, InvalidPayload, InvalidQueueName

NOTHING: dict[str, Any] = {"delay": None, "run_at": None, "headers": None}


def test_batches_are_bounded_in_messages_and_lose_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "BATCH_MESSAGES", 4)
    batches = [str(s.arguments[0]).split("\n") for s in sending.many("q", range(9), **NOTHING)]
    assert batches == [["0", "1", "2", "3"], ["4", "5", "6", "7"], ["8"]]


def test_batches_are_bounded_in_bytes_but_take_one_message_of_any_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sending, "BATCH_BYTES", 10)
    payloads = [11111, 22222, 3, "x" * 50, 4]
    batches = [str(s.arguments[0]).split("\n") for s in sending.many("q", payloads, **NOTHING)]
    assert batches == [["11111", "22222"], ["3"], ['"' + "x" * 50 + '"'], ["4"]]


def test_an_endless_source_is_read_only_as_far_as_asked() -> None:
    source = itertools.count()
    next(sending.many("q", source, **NOTHING))
    assert next(source) == sending.BATCH_MESSAGES + 1


def test_headers_are_left_out_of_the_text_when_there_are_none() -> None:
    with_headers = sending.one("q", 1, **(NOTHING | {"headers": {"a": 1}}))
    assert "headers" in with_headers.text
    assert with_headers.arguments[-1] == '{"a":1}'
    assert "headers" not in sending.one("q", 1, **NOTHING).text


@pytest.mark.parametrize(
    ("delay", "seconds"), [(None, 0.0), (5, 5.0), (0.25, 0.25), (timedelta(minutes=1), 60.0)]
)
def test_delays_are_seconds(delay: Any, seconds: float) -> None:
    assert sending.one("q", 1, **(NOTHING | {"delay": delay})).arguments[2] == seconds


@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf"), timedelta(days=40_000)])
def test_a_delay_out_of_bounds_is_refused(delay: Any) -> None:
    with pytest.raises(InvalidOption, match="delay"):
        sending.one("q", 1, **(NOTHING | {"delay": delay}))


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidOption, match="time zone"):
        sending.one("q", 1, **(NOTHING | {"run_at": datetime(2030, 1, 1)}))  # noqa: DTZ001


def test_delay_and_run_at_exclude_each_other() -> None:
    with pytest.raises(InvalidOption, match="both"):
        sending.one("q", 1, **(NOTHING | {"delay": 0, "run_at": datetime.now(UTC)}))


def test_headers_are_an_object() -> None:
    with pytest.raises(InvalidPayload, match="headers"):
        sending.one("q", 1, **(NOTHING | {"headers": [1]}))


@pytest.mark.parametrize("name", ["", "a\0", "a'b", 'a"b', "a;b", "{archive}", "$1"])
def test_names_that_no_queue_can_have_never_reach_sql(name: str) -> None:
    with pytest.raises(InvalidQueueName):
        sending.one(name, 1, **NOTHING)


def test_placeholders_follow_the_driver_and_percent_signs_survive() -> None:
    text, arguments = _in_style("select '%', $2::text, $1::text", ("a", "b"), "pyformat")
    assert text == "select '%%', %(p2)s::text, %(p1)s::text"
    assert arguments == {"p1": "a", "p2": "b"}
    with pytest.raises(InvalidOption, match="format"):
        _in_style("", (), "format")


def test_a_target_that_no_client_knows_is_refused_by_name() -> None:
    with pytest.raises(InvalidOption, match=r"builtins\.int"):
        Client(3)
    with pytest.raises(InvalidAddress):
        AsyncClient("localhost")
