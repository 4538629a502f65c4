"""How a frame of ``postmill top`` looks: tables on a terminal, tab-separated lines elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.cli.terminal import text as terminal_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from postmill.cli.terminal.top_frame import Frame

SECTIONS = {
    "queues": (
        "queue",
        "ready",
        "running",
        "retrying",
        "scheduled",
        "dead",
        "sent_s",
        "left_s",
        "oldest_ready_s",
        "workers",
    ),
    "workers": ("worker", "queue", "state", "in_flight", "max_concurrent", "host", "pid", "heartbeat_age_s"),
    "failures": ("failed_at", "queue", "msg_id", "attempt", "kind", "error"),
}
"""What is shown of each part, in this order."""

TITLES = {"sent_s": "sent/s", "left_s": "done/s", "oldest_ready_s": "oldest", "heartbeat_age_s": "beat"}


def lines(frame: Frame) -> Iterator[str]:
    """The frame as plain text: a heading, then one line a row, tab-separated; an empty line between parts."""
    for part, columns in SECTIONS.items():
        rows = getattr(frame, part)
        yield "\t".join((part, *columns[1:]) if part == "queues" else columns)
        for row in rows:
            yield "\t".join(cell(row, column) for column in columns)
        yield ""


def screen(frame: Frame, *, said: str) -> RenderableType:
    """The frame for a terminal, with one line about itself."""
    from rich.console import Group
    from rich.text import Text

    tables = [_table(part, getattr(frame, part), columns) for part, columns in SECTIONS.items()]
    return Group(Text(said, style="dim"), *tables)


def cell(row: dict[str, Any], column: str) -> str:
    """One value as people read it, without a tab or a line break in it."""
    if column == "error":
        error = f"{row['error_type'] or ''}: {row['error_message'] or ''}".strip(": ")
        return terminal_text.one_line(" ".join(error.split()))
    if column == "queue" and row.get("paused"):
        return terminal_text.one_line(f"{row['queue']} (paused)")
    value = row.get(column)
    if value is None:
        return "-"
    if column == "failed_at":
        return str(value if isinstance(value, str) else value.astimezone().strftime("%H:%M:%S"))
    if column.endswith("_s") and column not in {"sent_s", "left_s"}:
        return age(value)
    return terminal_text.one_line(" ".join(str(value).split()))


def age(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min``, ``5 h``, ``2 d``: one unit is enough to see whether it is bad."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    for unit, size, below in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < below:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def _table(part: str, rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> RenderableType:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, expand=part == "failures", title_justify="left")
    for column in columns:
        numeric = any(isinstance(row.get(column), int | float) for row in rows)
        table.add_column(
            TITLES.get(column, column),
            justify="right" if numeric else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if column == "error" else None,
        )
    for row in rows:
        table.add_row(*(Text(cell(row, column), style=_style(row, column)) for column in columns))
    if not rows:
        return Text(f"no {part}\n", style="dim")
    return table


def _style(row: dict[str, Any], column: str) -> str:
    if column in {"dead", "error"} and row.get(column, True):
        return "red"
    if column == "queue":
        return "yellow" if row.get("paused") else "bold"
    return "" if row.get(column) else "dim"
