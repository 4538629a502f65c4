"""Worker options of other products, and what to write here in their place. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_BY_AIM: Mapping[str, str] = {
    "schedule": "Write schedule='*/5 * * * *', and timezone='Europe/Berlin' where it matters.",
    "delay": "It is said when a message is sent: send(payload, delay=60).",
    "run_at": "It is said when a message is sent: send(payload, run_at=...).",
    "retry": "Write retry=Retry.exponential(max_attempts=5), or Retry.fixed(delay, max_attempts=5).",
    "exceptions": "Every exception is retried; for one of them raise Dead or Retry in the handler.",
    "context": "Give the function a second parameter: ctx: Context.",
    "timeout": "Write timeout=30, in seconds.",
    "priority": "It is said when a message is sent: send(payload, priority=5).",
    "unique": "It is said when a message is sent: send(payload, unique_key=...).",
    "rate": "It is a limit of the queue, for all workers: postmill queue limit NAME --starts 10 --per 1s.",
    "running": "It is a limit of the queue, for all workers: postmill queue limit NAME --max-running 2.",
    "group": "It is said when a message is sent: send(payload, group_key=...).",
    "after": "It is said when a message is sent: send(payload, after=...).",
    "follower": "It is said when a message is sent: send(payload, then_send=Then(...)), or else_send.",
    "concurrency": "Write max_concurrent=10.",
    "acknowledge": "A message is always acknowledged after its handler has returned.",
    "name": "A worker is named by its function, and its queue by queue=...",
    "results": "Write keep_results=True.",
}
"""The options to write here, by what they are for."""
WRITTEN_HERE: Mapping[str, str] = {
    name: _BY_AIM[aim]
    for aim, names in {
        "schedule": "cron crontab periodic interval run_every",
        "delay": "delay countdown schedule_in schedule_after",
        "run_at": "run_at eta schedule_at scheduled_at",
        "retry": "retries max_retries max_attempts attempts default_retry_delay retry_backoff retry_jitter",
        "exceptions": "autoretry_for dont_autoretry_for retry_for throws",
        "context": "bind pass_context context",
        "timeout": "time_limit soft_time_limit job_timeout",
        "priority": "priority",
        "unique": "lock queueing_lock unique unique_for unique_key singleton_key idempotency_key",
        "rate": "rate_limit limiter throttle starts per",
        "running": "max_running limits_concurrency global_limit concurrency_limit",
        "group": "group group_key partition",
        "after": "after deps depends_on",
        "follower": "then_send else_send link link_error",
        "concurrency": "concurrency max_workers workers",
        "acknowledge": "acks_late ack_late acks_on_failure_or_timeout",
        "name": "name task_name base typing",
        "results": "ignore_result result_ttl store_result",
    }.items()
    for name in names.split()
}
"""Options of Celery, procrastinate, Oban, RQ, pg-boss, Dramatiq and others, each with what to write here."""
