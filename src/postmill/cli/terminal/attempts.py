"""How the failed attempts of a message look: one heading each, and its traceback with real line ends. Frames
of the user's own files stand out, those of libraries are dim, and runs of Postmill's and of Python's import
machinery are one line. Pure.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Any

from postmill.cli.terminal import text as terminal_text
from postmill.cli.terminal.table import SHORT_ID, age, moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

_FRAME = re.compile(r'^\s*(?:[+|]\s*)*File "(?P<path>[^"]*)", line \d+, in ')
_FOLDED = re.compile(r"[/\\](?:site-packages|src)[/\\]postmill[/\\]|^<frozen importlib|[/\\]importlib[/\\]")
_LIBRARY = re.compile(r"[/\\](?:site-packages|dist-packages)[/\\]|[/\\]lib[/\\]python\d|^<frozen ")


def lines(
    failures: Sequence[Mapping[str, Any]], now: datetime, *, dim: Callable[[str], str] = str
) -> Iterator[str]:
    """The attempts, oldest first."""
    for failure in failures:
        yield _heading(failure, now)
        yield from (f"    {line}" for line in traceback(_text(failure), dim=dim))
        if failure.get("log"):
            yield "    the last it has logged, in UTC:"
            yield from (f"      {terminal_text.lines(line)}" for line in failure["log"])


def traceback(text: str, *, dim: Callable[[str], str] = str) -> Iterator[str]:
    """The lines of a traceback; ``dim`` marks the frames of libraries."""
    frames = _frames(terminal_text.lines(text).splitlines())
    for kind, group in groupby(frames, key=lambda frame: frame[0]):
        blocks = [block for _, block in group]
        if kind == "folded":
            count = "1 frame" if len(blocks) == 1 else f"{len(blocks)} frames"
            yield dim(f"  ... {count} of Postmill or importlib")
        else:
            found = [line for block in blocks for line in block]
            yield from map(dim, found) if kind == "library" else found


def _frames(text: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Each frame with its kind: ``folded``, ``library`` or ``own``. Other lines have no kind."""
    kind, block, margin = "", list[str](), 0
    for line in text:
        indent = len(line) - len(line.lstrip())
        begins = _FRAME.match(line)
        if block and not begins and indent > margin:
            block.append(line)
            continue
        if block:
            yield kind, block
        kind, block, margin = (_kind(begins["path"]), [line], indent) if begins else ("", [], 0)
        if not begins:
            yield "", [line]
    if block:
        yield kind, block


def _kind(path: str) -> str:
    if _FOLDED.search(path):
        return "folded"
    return "library" if _LIBRARY.search(path) else "own"


def _heading(failure: Mapping[str, Any], now: datetime) -> str:
    parts = [f"  attempt {failure['attempt']}", str(failure["kind"])]
    if failure["failed_at"] is not None:
        parts.append(f"at {_moment(failure['failed_at'], now)}")
    if (took := _took_s(failure)) is not None:
        parts.append(f"after {age(took)}")
    if failure["worker_id"] is not None:
        parts.append(f"worker {str(failure['worker_id'])[:SHORT_ID]}")
    return "  ".join(parts)


def _moment(at: Any, now: datetime) -> str:
    return str(at) if isinstance(at, str) else moment(at, now)


def _took_s(failure: Mapping[str, Any]) -> float | None:
    try:
        return max(0.0, float((failure["failed_at"] - failure["started_at"]).total_seconds()))
    except TypeError:  # not begun, or a time beyond Python's range
        return None


def _text(failure: Mapping[str, Any]) -> str:
    said = ": ".join(part for part in (failure["error_type"], failure["error_message"]) if part)
    return str(failure["traceback"] or said or "nothing was recorded")
