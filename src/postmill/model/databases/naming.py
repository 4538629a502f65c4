"""What a queue is called where those of several databases are seen together. Pure."""

from __future__ import annotations


def queue_in(database: str, queue: str) -> str:
    """``queue`` of ``database``, as log lines, metrics and ``postmill top`` name it: ``eu1/mail``."""
    return f"{database}/{queue}"
