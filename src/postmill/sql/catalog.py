"""Finds SQL by name. The text lives in the ``.sql`` files beside this module; nothing here knows what it
means.

A statement is one file in the folder of the room that binds it; its name is unique in all of them.
``{queue}``, ``{archive}`` and ``{sequence}`` stand for a queue's tables. A line that ends in ``--? name`` is
kept only when the flag ``name`` is set (a column that older pgmq versions lack, a variant of one statement).
A line ``--+ name`` stands for the text of ``parts/name.sql``, which several statements and functions share.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.model.queue.queue_name import QueueShape

_OPTIONAL = re.compile(r"^(?P<text>.*?)\s*--\? (?P<negated>!?)(?P<flag>[a-z_]+)\s*$")
_TABLE = re.compile(r"\{(?P<table>queue|archive|sequence)\}")
_PART = re.compile(r"^--\+ (?P<part>[a-z_]+)$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--(?!\?).*$")


@cache
def statement(name: str, *flags: str) -> str:
    """The named statement with the optional lines of ``flags``, without its header comment.

    Raises ``KeyError`` when there is no such file: a bug, not a user's mistake.
    """
    return "\n".join(_kept(_read(_statements()[name]), frozenset(flags)))


@lru_cache(maxsize=4096)
def queue_statement(name: str, shape: QueueShape, *flags: str) -> str:
    """The named statement for one queue's tables; columns that this queue lacks are left out."""
    present = set(flags)
    present.update(flag for flag in ("headers", "last_read_at", "partitioned") if _has(shape, flag))
    return _TABLE.sub(lambda place: str(getattr(shape, place["table"])), statement(name, *sorted(present)))


def preload() -> None:
    """Read every statement now: none depends on the files any more. Without this a process that runs out of
    file descriptors, or whose installation is replaced, meets that at its first use of a statement.
    """
    for path in _statements().values():
        _read(path)
    scripts("parts")


def scripts(folder: str) -> list[tuple[str, str]]:
    """All ``.sql`` files of a folder beside this module (``functions``, ``views``, …) as (stem, text), the
    parts that they share filled in.
    """
    root = files(__package__) / folder
    names = sorted(entry.name for entry in root.iterdir() if entry.name.endswith(".sql"))
    return [(name.removesuffix(".sql"), _PART.sub(_part, _read(f"{folder}/{name}"))) for name in names]


def _part(place: re.Match[str]) -> str:
    return "\n".join(_kept(_read(f"parts/{place['part']}.sql"), frozenset()))


def _has(shape: QueueShape, flag: str) -> bool:
    return shape.is_partitioned if flag == "partitioned" else bool(getattr(shape, f"has_{flag}"))


def _kept(text: str, flags: frozenset[str]) -> Iterator[str]:
    for line in text.splitlines():
        optional, shared = _OPTIONAL.match(line), _PART.match(line)
        if shared is not None:
            yield from _kept(_read(f"parts/{shared['part']}.sql"), flags)
        elif optional is not None:
            if (optional["flag"] in flags) != bool(optional["negated"]):
                yield optional["text"]
        elif line.strip() and not _COMMENT.match(line):
            yield line


@cache
def _statements() -> dict[str, str]:
    """Where each statement stands, by name."""
    rooms = [room for room in (files(__package__) / "statements").iterdir() if room.is_dir()]
    return {
        entry.name.removesuffix(".sql"): f"statements/{room.name}/{entry.name}"
        for room in rooms
        for entry in room.iterdir()
    }


@cache
def _read(path: str) -> str:
    try:
        return (files(__package__) / path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise LookupError(f"no SQL file {path}") from None
