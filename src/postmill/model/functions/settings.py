"""What is configured for the function host and for each function. Frozen, validated when made; pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from postmill.model.duration import seconds
from postmill.model.errors import InvalidOption
from postmill.model.functions.limits import PROFILES, Limits
from postmill.model.functions.slug import validated
from postmill.model.option_rules import one_of, out_of_range, variable_fault, whole_number

if TYPE_CHECKING:
    from collections.abc import Mapping

Policy = Literal["per_worker", "per_request", "oneshot"]
POLICIES: tuple[str, ...] = get_args(Policy)
Preflight = Literal["", "gateway", "function"]
PREFLIGHTS: tuple[str, ...] = get_args(Preflight)
MOST_THREADS = 256
"""The most threads of one isolate. Each reserves a stack of 8 MiB, and Python runs one at a time: more than
256 only wait for one another's turn.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSettings:
    """``[runtime]``: the host itself, and the defaults of every function."""

    host: str = "127.0.0.1"
    port: int = 54321
    folder: str = "functions"
    """Where the functions are, relative to the project."""
    policy: Policy = "per_worker"
    profile: str = "default"
    limits: Limits = PROFILES["default"]
    preload: tuple[str, ...] = ()
    """Modules that every isolate has imported before it starts."""
    boot_timeout_s: float = 30.0
    response_timeout_s: float = 150.0
    """How long a request waits for the start of its response."""
    capacity_wait_s: float = 10.0
    """How long a request waits for an instance that is free."""
    grace_s: float = 3.0
    """How long requests and messages may go on running after a stop was asked for or files have changed."""
    max_body_mb: float = 20.0
    jwks: str = ""
    """File or ``https://`` address of the public keys whose tokens are taken; empty: none."""
    user: str = ""
    """Account that isolates run as; empty: that of the host. Another one needs a host that is root."""

    def __post_init__(self) -> None:
        whole_number("port", self.port, 0, 65_535)
        one_of("policy", self.policy, POLICIES)
        one_of("profile", self.profile, tuple(PROFILES))
        for name in ("boot_timeout_s", "response_timeout_s", "capacity_wait_s", "grace_s"):
            object.__setattr__(self, name, seconds(getattr(self, name), name))
        if not 0 < self.max_body_mb <= 1_000_000:
            raise out_of_range("max_body_mb", self.max_body_mb, "It is above 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSettings:
    """``[functions.<slug>]``: one function."""

    slug: str
    enabled: bool = True
    verify_jwt: bool = True
    preflight: Preflight = ""
    """What answers a browser's preflight when credentials are needed: ``gateway`` or ``function``. Empty: an
    ASGI application answers its own, and the gateway answers for a handler or a worker.
    """
    entrypoint: str | None = None
    """Its file, relative to the folder of functions; None: ``<slug>.py`` or ``<slug>/main.py``."""
    instances: int = 1
    """The most processes that serve it at a time. A worker always keeps this many running."""
    concurrency: int = 100
    """Requests at a time on one instance, under the policy ``per_worker``."""
    policy: Policy = "per_worker"
    limits: Limits = PROFILES["default"]
    user: str = ""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        validated(self.slug)
        whole_number("instances", self.instances, 1, 1_000)
        whole_number("concurrency", self.concurrency, 1, 100_000)
        one_of("policy", self.policy, POLICIES)
        one_of("preflight", self.preflight, PREFLIGHTS)
        for name, value in self.env.items():
            if fault := variable_fault(name, value):
                what = f"{name!r} in the environment of {self.slug} can't be a variable."
                raise InvalidOption(what, why=fault)

    @property
    def threads(self) -> int:
        """Plain ``def`` code that may run at a time on one instance."""
        return min(self.concurrency, MOST_THREADS)

    @property
    def at_a_time(self) -> int:
        """Requests at a time on one instance."""
        return self.concurrency if self.policy == "per_worker" else 1
