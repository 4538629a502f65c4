"""What a worker, its Ray driver and a task on the cluster say to each other. Knows no sockets and no Ray."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

import msgspec

LARGEST_JSON = 8 * 1024 * 1024
"""The most bytes of JSON that a payload or a result may have. 8 MiB: half of what a worker claims at once
(``max_claim_bytes``), so two fit. What is larger belongs in a store that the task reads itself.
"""


class Kind(IntEnum):
    """What a frame between a worker and its driver says. The frame's stream is the number of the call."""

    BOOT = 1
    RUN = 2
    CANCEL = 3
    """Raise ``KeyboardInterrupt`` in the task, or take it out of Ray's queue."""
    KILL = 4
    """End the task's process."""
    READY = 5
    REFUSED = 6
    AWAY = 7
    """The driver can't reach the cluster, and goes on trying."""
    BEAT = 8
    """The cluster's head has just answered."""
    SAID = 9
    ENDED = 10


class Boot(msgspec.Struct, frozen=True):
    """All that a driver must know before it meets the cluster."""

    address: str
    path: list[str]
    """Where the worker finds modules: so do its tasks, on machines that have these folders."""
    needs: list[dict[str, float]]
    """What each function's tasks need, in the words of ``@worker(resources=...)``."""


class Ready(msgspec.Struct, frozen=True):
    """The driver is connected."""

    lacking: str = ""
    """What no machine of the cluster has, in words; empty: all is there."""


class Refusal(msgspec.Struct, frozen=True):
    """This cluster can't be used. Trying again would not help."""

    what: str
    why: str
    hint: str = ""


class Order(msgspec.Struct, frozen=True):
    """One task."""

    call: int
    function: str
    """As ``module:name``."""
    payload: str
    """JSON."""
    queue: str
    msg_id: int
    attempt: int
    timeout_s: float | None
    by_name: bool = False
    """Whether the payload is an object with a value for each parameter, as a step is called; else it is the
    first parameter's.
    """
    resources: dict[str, float] = {}


class Demand(msgspec.Struct):
    """What the driver reads of an order."""

    resources: dict[str, float]


class Said(msgspec.Struct, array_like=True):
    """What a task says while it runs."""

    call: int
    what: Literal["started", "progress", "log"]
    text: str = ""
    number: float = 0.0
    """The fraction of progress, or the level of a log line."""
    place: int = 0
    """Where it stands among the task's progress and log lines, from 1: they may arrive in another order."""


class Failure(msgspec.Struct):
    """What a task has raised, in words."""

    type: str
    message: str
    traceback: str
    outcome: Literal["", "retry", "snooze", "dead", "invalid"] = ""
    after_s: float | None = None


class Ending(msgspec.Struct):
    """How a task has ended."""

    how: Literal["returned", "raised", "crashed", "cancelled"]
    result: str = "null"
    """JSON."""
    outcome: Literal["", "completed"] = ""
    failure: Failure | None = None
    text: str = ""
    """How the process of a task has crashed."""
    said: int = 0
    """How much of progress and log lines the task has said: they come another way, and perhaps later."""


encode = msgspec.msgpack.encode
decode_ending = msgspec.msgpack.Decoder(Ending).decode
decode_said = msgspec.msgpack.Decoder(Said).decode
decode_order = msgspec.msgpack.Decoder(Order).decode
decode_demand = msgspec.msgpack.Decoder(Demand).decode
