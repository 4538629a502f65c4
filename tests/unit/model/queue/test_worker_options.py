"""A worker's options: checked when they are given, under every name that people bring."""

from __future__ import annotations

import dataclasses
import math
from datetime import timedelta
from typing import Any

import pytest

from postmill import Retry, worker
from postmill.model.errors import InvalidOption, InvalidQueueName
from postmill.model.queue.foreign_options import WRITTEN_HERE
from postmill.model.queue.retry import FixedRetry
from postmill.model.queue.worker_options import WorkerOptions, options_from


def test_the_defaults_are_those_of_the_reference() -> None:
    options = WorkerOptions()
    assert (options.queue, options.max_concurrent, options.max_pg_connections) == ("tasks", 10, 4)
    assert (options.max_poll_s, options.poll_interval_s, options.lease_s) == (5, 0.2, 10)
    assert (options.timeout_s, options.grace_s, options.max_blocked_s) == (None, 30, 60)
    assert (options.on_success, options.on_invalid, options.poller) == ("archive", "dead", "auto")


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"queueName": "a"}, "queue", "a"),
        ({"queue_name": "a"}, "queue", "a"),
        ({"maxConcurrent": 3}, "max_concurrent", 3),
        ({"maxPgConnections": 3}, "max_pg_connections", 3),
        ({"batchSize": 3}, "batch_size", 3),
        ({"maxPollSeconds": 3}, "max_poll_s", 3),
        ({"pollIntervalMs": 30}, "poll_interval_s", 0.03),
        ({"visibilityTimeout": 3}, "lease_s", 3),
        ({"connectionString": "postgresql://h/d"}, "db_url", "postgresql://h/d"),
        ({"retryLimit": 0}, "retry", FixedRetry(1, 3.0)),
        ({"retryDelay": 7}, "retry", FixedRetry(6, 7.0)),
        ({"retryDelay": 7, "retryLimit": 2}, "retry", FixedRetry(3, 7.0)),
        ({"retry_delay": 7, "retry_limit": 2}, "retry", FixedRetry(3, 7.0)),
    ],
)
def test_names_people_bring(given: dict[str, Any], field: str, value: object) -> None:
    assert getattr(options_from(given), field) == value


def test_durations_are_seconds_or_timedeltas() -> None:
    options = options_from({"visibility_timeout": timedelta(minutes=1), "timeout": 2, "grace": 0})
    assert (options.lease_s, options.timeout_s, options.grace_s) == (60, 2, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_concurrent", 0),
        ("max_concurrent", 10_001),
        ("max_concurrent", True),
        ("max_concurrent", 1.5),
        ("max_concurrent", "10"),
        ("max_concurrent", None),
        ("max_pg_connections", 1),
        ("batch_size", 0),
        ("batch", 0),
        ("poll_interval_ms", 0),
        ("max_deliveries", 0),
        ("max_claim_bytes", 1_023),
        ("visibility_timeout", 0.9),
        ("visibility_timeout", -1),
        ("visibility_timeout", math.nan),
        ("visibility_timeout", math.inf),
        ("visibility_timeout", "10s"),
        ("visibility_timeout", timedelta(days=40_000)),
        ("timeout", 0),
        ("grace", -1),
        ("max_blocked", "1"),
        ("on_success", "keep"),
        ("on_invalid", "ignore"),
        ("poller", "listen"),
        ("executor", "thread"),
        ("keep_results", "yes"),
        ("keep_log", "yes"),
        ("retry", 3),
        ("on_dead", "print"),
        ("retryLimit", -1),
        ("retryLimit", 2.5),
        ("retryDelay", -1),
    ],
)
def test_a_value_that_breaks_its_rule_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(InvalidOption, match=name):
        options_from({name: value})


@pytest.mark.parametrize("queue", ["", "a$b", "a;b", "a--b", "a'b", 'a"b', "{queue}", "a\0", None, 3])
def test_what_is_no_queues_name_is_refused(queue: object) -> None:
    with pytest.raises(InvalidQueueName):
        options_from({"queue": queue})


@pytest.mark.parametrize("queue", ["Tasks", "a b", "a.b", "-a", "tä"])
def test_a_queue_that_another_client_made_may_be_named_as_it_likes(queue: str) -> None:
    assert options_from({"queue": queue}).queue == queue


@pytest.mark.parametrize(
    ("typo", "meant"), [("max_concurent", "max_concurrent"), ("queueNme", "queueName"), ("retrys", "retry")]
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(typo: str, meant: str) -> None:
    with pytest.raises(InvalidOption, match=rf"Did you mean {meant}\?"):
        options_from({typo: 1})


def test_a_name_far_from_all_others_is_answered_with_the_list() -> None:
    with pytest.raises(InvalidOption, match=r"Known: .*max_concurrent"):
        options_from({"zzz": 1})


@pytest.mark.parametrize(
    "given",
    [
        {"queue": "a", "queueName": "b"},
        {"maxConcurrent": 1, "max_concurrent": 2},
        {"retry": Retry.none, "retryLimit": 3},
        {"retryDelay": 3, "retry_delay": 4},
        {"retryLimit": 3, "retry_limit": 4},
    ],
)
def test_an_option_said_twice_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption):
        options_from(given)


def test_options_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        WorkerOptions().queue = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("crontab", "schedule="),
        ("countdown", "delay=60"),
        ("autoretry_for", "Every exception is retried"),
        ("priority", "priority=5"),
        ("max_retries", "Retry.exponential"),
        ("pass_context", "ctx: Context"),
        ("max_running", "queue limit NAME --max-running 2"),
        ("group_key", "group_key="),
        ("then_send", "Then("),
        ("deps", "after="),
    ],
)
def test_an_option_of_another_product_says_what_to_write_here(option: str, says: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        options_from({option: 1})
    assert says in caught.value.hint


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"schedule": "61 * * * *"}, "can't be read"),
        ({"schedule": 5}, "is no text"),
        ({"schedule": "@daily", "timezone": "Berlin"}, "timezone='Berlin' is not known"),
    ],
)
def test_a_schedule_is_read_when_the_worker_is_made(given: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidOption, match=says):
        options_from(given)


def test_no_option_of_another_product_is_one_of_ours() -> None:
    assert not WRITTEN_HERE.keys() & {field.name for field in dataclasses.fields(WorkerOptions)}


def test_a_queue_in_place_of_a_function_says_how_a_queue_is_named() -> None:
    with pytest.raises(InvalidOption, match=r"worker\(queue='mail'\)"):
        worker("mail")  # type: ignore[call-overload]
