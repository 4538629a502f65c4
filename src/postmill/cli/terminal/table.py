"""A table that fits a terminal: headings are never broken, numbers and ids are never cut, and columns with
nothing in them are left out. Long texts are cut at the width that is left. Pure.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from postmill.cli.terminal import text as terminal_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HEADINGS = {
    "worker_id": "id",
    "in_flight": "running",
    "max_concurrent": "max",
    "heartbeat_age_s": "beat",
    "oldest_ready_s": "oldest",
    "oldest_waiting_s": "waits",
    "letter_id": "letter",
    "msg_id": "message",
    "message": "payload",
    "sent_s": "sent/s",
    "left_s": "done/s",
    "verify_jwt": "jwt",
}
"""The headings of columns. A column that is not here has its name in JSON as its heading."""
RATES = frozenset({"sent_s", "left_s"})
"""Columns that end in ``_s`` and are no ages."""
SINCE = frozenset({"started_at"})
"""Times of which people ask how long ago they were."""
SPARE = ("oldest_waiting_s", "scheduled", "workers", "vt", "timezone", "version")
"""Columns that are left out, one after the other, where a table does not fit at all. Lists as JSON and as
tab-separated text have them.
"""
GAP = 2
"""Spaces between two columns, so that they are told apart; one when the table does not fit."""
NARROWEST = 8
"""Characters to which a text is cut at most: eight are enough to tell two names apart."""
SHORT_ID = 8
"""Characters of a UUID that are shown. Commands accept them in its place; eight tell a project's workers and
letters apart.
"""


def plain(_row: Mapping[str, Any], _column: str, cell: str) -> str:
    """A cell without any style."""
    return cell


def lines(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    width: int,
    now: datetime.datetime,
    heading: Callable[[str], str] = str,
    style: Callable[[Mapping[str, Any], str, str], str] = plain,
    ellipsis: str = "…",
    drop_empty: bool = True,
) -> list[str]:
    """The heading and a line a row. ``now`` tells today's times from others; ``heading`` and ``style`` may
    put colours round what has its width already. Columns without a value are left out unless
    ``drop_empty`` is false, and those of :data:`SPARE` where there is no room.
    """
    cells = {name: [cell(row.get(name), name, now) for row in rows] for name in columns}
    kept = [name for name in columns if not drop_empty or any(cells[name])]
    widths, gap, over = _fitted(rows, cells, kept, width)
    for spare in SPARE:
        if over > 0 and spare in kept:
            kept.remove(spare)
            widths, gap, over = _fitted(rows, cells, kept, width)
    right = {name for name in kept if _is_number(rows, name)}

    def laid_out(name: str, text: str) -> str:
        cut = _cut(text, widths[name], ellipsis)
        space = " " * (widths[name] - _width(cut))
        return space + cut if name in right else cut + space

    titles = (heading(laid_out(name, title(name))) for name in kept)
    found = [(" " * gap).join(titles).rstrip()]
    for place, row in enumerate(rows):
        shown = (style(row, name, laid_out(name, cells[name][place])) for name in kept)
        found.append((" " * gap).join(shown).rstrip())
    return found


def title(column: str) -> str:
    """The heading of ``column``."""
    return HEADINGS.get(column) or column.removesuffix("_at").replace("_", " ")


def cell(value: Any, column: str, now: datetime.datetime) -> str:
    """One value in one line, as people read it."""
    match value:
        case None:
            shown = ""
        case bool():
            shown = "yes" if value else "no"
        case datetime.datetime() if column in SINCE:
            shown = f"{age(max(0.0, (now - value).total_seconds()))} ago"
        case datetime.datetime():
            shown = moment(value, now)
        case UUID():
            shown = str(value)[:SHORT_ID]
        case Path():
            shown = str(relative(value))
        case dict() | list():
            shown = terminal_text.encoded(value)
        case int() | float() if column.endswith("_s") and column not in RATES:
            shown = age(value)
        case _:
            shown = str(value)
    return terminal_text.one_line(" ".join(shown.split()))


def moment(at: datetime.datetime, now: datetime.datetime) -> str:
    """In the reader's time zone: today's as ``14:03:59``, this year's as ``Jan 31 14:03``, others as
    ``2029-12-31``.
    """
    try:
        local = at.astimezone()
    except (OverflowError, ValueError, OSError):  # at the ends of Python's range
        return str(at)
    today = now.astimezone().date()
    if local.date() == today:
        return local.strftime("%H:%M:%S")
    return local.strftime("%b %d %H:%M" if local.year == today.year else "%Y-%m-%d")


def age(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min``, ``5 h``, ``2 d``: one unit is enough to see whether it is bad."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    for unit, size, below in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < below:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def relative(path: Path) -> Path:
    """``path`` as seen from the working folder when it is below it."""
    try:
        return path.relative_to(Path.cwd())
    except (ValueError, FileNotFoundError):  # elsewhere, or the working folder is gone
        return path


def _fitted(
    rows: Sequence[Mapping[str, Any]], cells: Mapping[str, Sequence[str]], kept: Sequence[str], width: int
) -> tuple[dict[str, int], int, int]:
    """The width of each column, of the gap between two, and how many columns of the terminal are lacking:
    texts give way, the widest first.
    """
    widths = {name: max(_width(title(name)), *map(_width, cells[name])) for name in kept}
    floors = {name: max(_width(title(name)), NARROWEST) for name in kept if _may_be_cut(rows, name)}
    for gap in (GAP, 1):
        over = sum(widths.values()) + gap * (len(kept) - 1) - width
        while over > 0:
            name = max(floors, key=lambda found: widths[found] - floors[found], default=None)
            if name is None or widths[name] <= floors[name]:
                break
            widths[name] -= 1
            over -= 1
        if over <= 0:
            break
    return widths, gap, over


def _is_number(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    return all(isinstance(row.get(name), int | float | None) for row in rows)


def _may_be_cut(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    return any(isinstance(row.get(name), str | dict | list | Path) for row in rows)


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _cut(text: str, width: int, ellipsis: str) -> str:
    if _width(text) <= width:
        return text
    from rich.cells import set_cell_size

    return set_cell_size(text, width - _width(ellipsis)).rstrip() + ellipsis
