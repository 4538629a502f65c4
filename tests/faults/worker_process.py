"""A worker in a process of its own, made to stop at a named point of the pipeline.

Run as ``python -m tests.faults.worker_process URL OPTIONS``. The points are put into the engine from here, so
that no line of it serves a test. A process that has reached its point stops itself (SIGSTOP), with all its
threads: its parent sees that, and does with it what it wants.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import orjson

from postmill import Retry
from postmill.db.hot.shared_connection import SharedConnection
from postmill.engine.maintain import heartbeat
from postmill.engine.maintain.heartbeat import Heartbeat
from postmill.engine.maintain.renewer import Renewer
from postmill.engine.run.dispatcher import Dispatcher
from postmill.engine.settle.settler import Settler
from postmill.engine.worker_process import Runner, run
from postmill.model.config.address import Address
from tests.faults import handlers

if TYPE_CHECKING:
    from collections.abc import Callable

_DIES_WITH_PARENT = 1
"""PR_SET_PDEATHSIG."""


def _stop_before(owner: type, name: str, applies: Callable[..., bool] = lambda *_: True) -> None:
    """Stop this process when ``owner.name`` is first called with arguments that it ``applies`` to."""
    original = getattr(owner, name)

    def stopping(self: Any, *args: Any, **kwargs: Any) -> Any:
        if applies(*args):
            setattr(owner, name, original)
            os.kill(os.getpid(), signal.SIGSTOP)
        return original(self, *args, **kwargs)

    setattr(owner, name, stopping)


def _is_claim(text: str, *_: object) -> bool:
    return "insert into postmill.claims" in text


POINTS: dict[str, Callable[[], None]] = {
    "before it announces itself": lambda: _stop_before(Heartbeat, "announce"),
    "before the claim is sent": lambda: _stop_before(SharedConnection, "fetchrow", _is_claim),
    "after the claim, before the handler": lambda: _stop_before(Dispatcher, "feed"),
    "after the handler, before its outcome is noted": lambda: _stop_before(Settler, "add"),
    "before the outcome is sent": lambda: _stop_before(Settler, "_execute"),
    "after the outcome is written": lambda: _stop_before(Settler, "_note"),
    "before it renews its leases": lambda: _stop_before(Renewer, "_renew"),
}
"""Where a process stops by itself. In the handler, the handler stops it."""


def _set_clock(off_s: float) -> None:
    """Put this process's clock wrong: what Python asks for the time of day."""
    right, right_ns = time.time, time.time_ns
    time.time = lambda: right() + off_s
    time.time_ns = lambda: right_ns() + int(off_s * 1e9)


def main() -> None:
    """Run until told to end, or stopped at a point."""
    ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL)
    handlers.stoppable = True
    url, options = sys.argv[1], orjson.loads(sys.argv[2])
    _set_clock(options.pop("clock_off_s", 0.0))
    if "retry" in options:
        options["retry"] = Retry.fixed(*options["retry"])
    point = options.pop("point", None)
    if point is not None:
        POINTS[point]()
    if options.pop("rescues_at_once", False):
        heartbeat.PERIOD_S = 0.1
    run(Runner([handlers.handler(**options)], Address(url)).run())


if __name__ == "__main__":
    main()
