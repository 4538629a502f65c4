"""How topics are written in pages and streams: a queue may have a space in its name, which would end it.
Pure.
"""

from __future__ import annotations

from urllib.parse import quote, unquote


def quoted(topic: str) -> str:
    """The topic as a browser knows it."""
    return quote(topic, safe=":/")


def unquoted(text: str) -> str:
    """The topic that a browser asks for."""
    return unquote(text)
