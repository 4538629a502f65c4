"""For users' own tests: run a worker until its queue is empty, see what was sent, make things go wrong.

Production code never imports it. The pytest fixtures are in ``postmill.testing.fixtures``, which alone needs
pytest.
"""

from __future__ import annotations

from postmill.testing.account import Account, Ended
from postmill.testing.clock import shifted_clock
from postmill.testing.draining import drain
from postmill.testing.faults import Fault, delay, fail, lose_lease
from postmill.testing.queues import create_queues
from postmill.testing.sent import assert_sent, sent

__all__ = [
    "Account",
    "Ended",
    "Fault",
    "assert_sent",
    "create_queues",
    "delay",
    "drain",
    "fail",
    "lose_lease",
    "sent",
    "shifted_clock",
]
