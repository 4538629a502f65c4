"""Which of several databases is the home of a key: rendezvous hashing. Pure.

Each database gets a score for the key, and the highest wins. So a database that is added takes keys from all
others and gives them nothing else to move, and when one is taken out only its own keys move. A score is the
SHA-256 of the database's name, a NUL and the key, all in UTF-8: the same in each process, in each version of
Python, in other languages and in SQL. ``tests/unit/model/databases/test_rendezvous.py`` has test vectors.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def score(name: str, key: str) -> bytes:
    """How much a key belongs to the database ``name``: 32 bytes, compared from the first one on."""
    return sha256(f"{name}\0{key}".encode()).digest()


def home(key: str, names: Iterable[str]) -> str:
    """The one of ``names`` in which ``key`` lives, whatever their order. There must be one at least."""
    return max(names, key=lambda name: score(name, key))
