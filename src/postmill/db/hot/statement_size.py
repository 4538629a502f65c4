"""How large a statement is, and what follows from it: how much goes into one, and how long it may take.

A time limit that is right for small statements cuts a large one off each time that it is sent. So the limit
grows with what is sent, and a batch is bounded by its bytes as well as by its rows. Looks at arguments only.
"""

from __future__ import annotations

BATCH_BYTES = 4 << 20
"""Rows that together are larger than this go in several statements. 4 MiB: they take a server some tenths of
a second, for which the rows of others wait; the cost of one more statement is lost in that.
"""
SLOWEST_BYTES_PER_S = 256 << 10
"""How fast a statement's bytes are sent, parsed, compressed and written at least. 256 KiB a second: what a
network of 2 Mbit/s takes, and a small part of what a server takes whose disk is busy.
"""
_TEXTS, _COLUMNS = (str, bytes), (list, tuple)


def bytes_of(value: object) -> int:
    """How many bytes of text ``value``, or a list of columns, has: about, since a character is counted as one
    byte, and a number as none.
    """
    if isinstance(value, _TEXTS):
        return len(value)
    return sum(map(bytes_of, value)) if isinstance(value, _COLUMNS) else 0


def is_too_large(arguments: object) -> bool:
    """Whether rows with these values are too large for one statement, if they are more than one."""
    return bytes_of(arguments) > BATCH_BYTES


def limit_s(small_s: float, arguments: object) -> float:
    """How long a statement with these arguments may take, where a small one may take ``small_s``."""
    return small_s + bytes_of(arguments) / SLOWEST_BYTES_PER_S
