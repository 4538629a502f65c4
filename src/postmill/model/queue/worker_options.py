"""A worker's options: frozen, validated when made, each with its default, rule and the names people bring
from elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, overload

from postmill.model.duration import seconds
from postmill.model.errors import InvalidOption
from postmill.model.option_rules import did_you_mean, one_of, out_of_range, whole_number
from postmill.model.queue import cluster_options
from postmill.model.queue.attempt_policy import time_limit_s
from postmill.model.queue.cluster_options import ClusterOptions
from postmill.model.queue.foreign_options import WRITTEN_HERE
from postmill.model.queue.queue_name import usable
from postmill.model.queue.retry import ExponentialRetry, FixedRetry, RetryPolicy, policy_from

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

Made = TypeVar("Made", bound="WorkerOptions")

DEFAULT_QUEUE = "tasks"
"""The queue of a worker that names none; that of the TypeScript worker has the same name."""
Executor = Literal["inline", "process", "ray"]
OnSuccess = Literal["archive", "delete"]
OnInvalid = Literal["dead", "retry"]
OnSilence = Literal["finish", "stop"]
Poller = Literal["auto", "notify", "poll"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """See ``docs/reference/worker-options.md``. Raises :class:`InvalidOption` for a bad value."""

    queue: str = DEFAULT_QUEUE
    max_concurrent: int = 10
    max_pg_connections: int = 4
    batch_size: int | None = None
    max_poll_seconds: float | timedelta = 5.0
    poll_interval_ms: int = 200
    visibility_timeout: float | timedelta = 10.0
    retry: RetryPolicy = ExponentialRetry()  # noqa: RUF009 - frozen
    timeout: float | timedelta | None = None
    grace: float | timedelta = 30.0
    on_success: OnSuccess = "archive"
    on_invalid: OnInvalid = "dead"
    on_silence: OnSilence = "finish"
    keep_results: bool = False
    keep_log: bool = False
    poller: Poller = "auto"
    executor: Executor = "inline"
    resources: Mapping[str, float] | None = None
    start_timeout: float | timedelta | None = None
    cancel_grace: float | timedelta | None = None
    batch: int | None = None
    max_deliveries: int = 20
    max_claim_bytes: int = 16 * 1024 * 1024
    max_blocked: float | timedelta = 60.0
    on_dead: Callable[[Any], Any] | None = None
    db_url: str | None = None
    listen_url: str | None = None
    schedule: str | None = None
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        usable(self.queue)
        for name, low, high in _RANGES:
            if getattr(self, name) is not None or name not in _MAY_BE_UNSET:
                whole_number(name, getattr(self, name), low, high)
        for name, choices in _CHOICES:
            one_of(name, getattr(self, name), choices)
        for name in _DURATIONS:
            object.__setattr__(self, name, seconds(getattr(self, name), name))
        of_a_cluster = {name: getattr(self, name) for name in cluster_options.NAMES}
        cluster_options.check(self.executor, self.batch, of_a_cluster)
        if self.timeout is not None:
            object.__setattr__(self, "timeout", time_limit_s(self.timeout))
        object.__setattr__(self, "retry", policy_from(self.retry))
        if self.lease_s < 1:
            raise out_of_range(
                "visibility_timeout", self.lease_s, "A lease under 1 s can't be renewed in time."
            )
        if self.schedule is not None:  # what reads it is imported only by a process that needs it
            import_module("postmill.model.schedule.recurrence").check(self.schedule, self.timezone)
        if self.on_dead is not None and not callable(self.on_dead):
            raise InvalidOption(
                f"on_dead={self.on_dead!r} can't be called.", hint="Give a function of one letter."
            )

    @property
    def lease_s(self) -> float:
        """The lease's length in seconds."""
        return seconds(self.visibility_timeout, "visibility_timeout")

    @property
    def timeout_s(self) -> float | None:
        """An attempt's time limit in seconds, or None."""
        return None if self.timeout is None else seconds(self.timeout, "timeout")

    @property
    def on_cluster(self) -> ClusterOptions:
        """How its functions run on a cluster, if they do."""
        return ClusterOptions.of(self)

    @property
    def grace_s(self) -> float:
        """How long running handlers may go on after a stop was asked for, in seconds."""
        return seconds(self.grace, "grace")

    @property
    def max_poll_s(self) -> float:
        """Poll floor of an idle worker that is notified, in seconds."""
        return seconds(self.max_poll_seconds, "max_poll_seconds")

    @property
    def poll_interval_s(self) -> float:
        """Poll floor of an idle worker without notifications, in seconds."""
        return self.poll_interval_ms / 1000

    @property
    def max_blocked_s(self) -> float:
        """How long leases are renewed while a handler blocks the event loop, in seconds."""
        return seconds(self.max_blocked, "max_blocked")


_RANGES: tuple[tuple[str, int, int], ...] = (
    ("max_concurrent", 1, 10_000),
    ("max_pg_connections", 2, 1_000),
    ("batch_size", 1, 10_000),
    ("poll_interval_ms", 1, 3_600_000),
    ("batch", 1, 10_000),
    ("max_deliveries", 1, 1_000_000),
    ("max_claim_bytes", 1_024, 1 << 31),
)
_MAY_BE_UNSET = ("batch_size", "batch")
_CHOICES: tuple[tuple[str, tuple[object, ...]], ...] = (
    ("on_success", get_args(OnSuccess)),
    ("on_invalid", get_args(OnInvalid)),
    ("on_silence", get_args(OnSilence)),
    ("poller", get_args(Poller)),
    ("executor", get_args(Executor)),
    ("keep_results", (True, False)),
    ("keep_log", (True, False)),
)
_DURATIONS = ("max_poll_seconds", "visibility_timeout", "grace", "max_blocked")

_BROUGHT = {
    "queueName": "queue",
    "queue_name": "queue",
    "maxConcurrent": "max_concurrent",
    "maxPgConnections": "max_pg_connections",
    "batchSize": "batch_size",
    "maxPollSeconds": "max_poll_seconds",
    "pollIntervalMs": "poll_interval_ms",
    "visibilityTimeout": "visibility_timeout",
    "connectionString": "db_url",
    "connection_string": "db_url",
}
_RETRY_DELAY = ("retryDelay", "retry_delay")
_RETRY_LIMIT = ("retryLimit", "retry_limit")


def names_of(option: str) -> frozenset[str]:
    """The names under which a worker option can be given."""
    return frozenset({option, *(name for name, target in _BROUGHT.items() if target == option)})


@overload
def options_from(given: Mapping[str, Any]) -> WorkerOptions: ...
@overload
def options_from(given: Mapping[str, Any], made: type[Made]) -> Made: ...
def options_from(given: Mapping[str, Any], made: type[WorkerOptions] = WorkerOptions) -> WorkerOptions:
    """Options by name, with the names people bring from elsewhere; an unknown one is refused with the nearest
    known one. ``made``: which options.
    """
    known = {field.name for field in fields(made)}
    values: dict[str, Any] = {}
    for name, value in _without_retry_pair(given, values).items():
        target = _BROUGHT.get(name, name)
        if target not in known:
            near = did_you_mean(name, [*sorted(known), *_BROUGHT])
            hint = WRITTEN_HERE.get(name) or near or f"Known: {', '.join(sorted(known))}."
            raise InvalidOption(f"There is no worker option {name!r}.", hint=hint)
        if target in values:
            raise InvalidOption(f"{name!r} says again what {target!r} has said.", hint="Give one of them.")
        values[target] = value
    return made(**values)


def _without_retry_pair(given: Mapping[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Turn retryDelay and retryLimit (seconds; retries after the first attempt) into a fixed policy."""
    rest = dict(given)
    delays = [rest.pop(name) for name in _RETRY_DELAY if name in rest]
    limits = [rest.pop(name) for name in _RETRY_LIMIT if name in rest]
    if not delays and not limits:
        return rest
    for said in (delays, limits):
        if len(said) > 1:
            raise InvalidOption("retryDelay or retryLimit is said twice.", hint="Give one of the two names.")
    if "retry" in rest:
        raise InvalidOption(
            "'retry' and retryDelay/retryLimit contradict each other.", hint="Give one of them."
        )
    delay = seconds(delays[0], "retryDelay") if delays else 3.0
    limit = limits[0] if limits else 5
    whole_number("retryLimit", limit, 0, 1_000_000)
    values["retry"] = FixedRetry(limit + 1, delay)
    return rest
