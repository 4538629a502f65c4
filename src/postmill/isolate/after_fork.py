"""What an isolate must not share with others that were forked from the same zygote: random numbers, and what
user code names with ``postmill.after_fork``.
"""

from __future__ import annotations

import sys

from postmill.isolate.lifetime import lifetime

RESEEDED = (("numpy.random", "seed"), ("torch", "seed"))
"""Modules with a global generator, and the function that seeds it anew. Python's ``random`` does so
itself after a fork.
"""


def renew() -> None:
    """Seed the generators that are loaded, and call the listeners. Raises what one of them raises."""
    for module, function in RESEEDED:
        if module in sys.modules:
            getattr(sys.modules[module], function)()
    for listener in lifetime.forked:
        listener()
