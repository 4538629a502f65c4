"""What the host and the zygote say to each other about processes: orders one way, reports the other."""

from __future__ import annotations

import msgspec


class Order(msgspec.Struct):
    """The host wants an isolate killed, or started: then four descriptors come along, for its channel,
    stdout, stderr and records.
    """

    isolate: int
    kill: bool = False


class Report(msgspec.Struct, omit_defaults=True):
    """An isolate was started, or has ended. Isolate 0 is the zygote, which is ready."""

    isolate: int
    pid: int
    status: int | None = None
    """As ``waitpid`` gives it; None: it runs."""
    cpu_s: float = 0.0
    max_rss_bytes: int = 0
