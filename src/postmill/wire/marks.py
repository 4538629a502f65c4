"""What host and isolate agree on beside their frames: which variables an isolate inherits, and a signal."""

from __future__ import annotations

import signal

INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""Variables of the host that its isolates have too: where programs and temporary files are; the locale."""
STACK_SIGNAL: int | None = getattr(signal, "SIGURG", None)
"""Makes an isolate write the stack of its main thread, also inside code that lets no other thread run. A
process that does not know this meaning ignores the signal.
"""
