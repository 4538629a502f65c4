"""How a frame of ``postmill top`` looks: tables on a terminal, tab-separated lines elsewhere."""

from __future__ import annotations

import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from postmill.cli.terminal import table
from postmill.cli.terminal.text import BOLD, DIM, RED, YELLOW, styled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.text import Text

    from postmill.cli.terminal.top_frame import Frame

SECTIONS = {
    "queues": (
        "queue",
        "ready",
        "running",
        "retrying",
        "scheduled",
        "waiting",
        "dead",
        "sent_s",
        "left_s",
        "oldest_ready_s",
        "oldest_waiting_s",
        "workers",
    ),
    "held_up": ("queue", "group", "held_up_by"),
    "workers": ("worker", "queue", "state", "in_flight", "max_concurrent", "host", "pid", "heartbeat_age_s"),
    "schedules": ("schedule", "state", "fires", "next_at", "last_at", "last_status", "problem"),
    "calls": ("host", "running", "waiting", "failed", "last_error"),
    "failures": ("failed_at", "queue", "msg_id", "attempt", "kind", "error"),
}
"""What is shown of each part, in this order."""
OPTIONAL = frozenset({"held_up", "schedules", "calls"})
"""Parts that are left out when they are empty."""


def lines(frame: Frame) -> Iterator[str]:
    """The frame as plain text: a heading, then one line a row, tab-separated; an empty line between parts."""
    now = datetime.datetime.now(datetime.UTC)
    for part, columns in _parts(frame):
        yield "\t".join((part, *columns[1:]) if part == "queues" else columns)
        for row in getattr(frame, part):
            yield "\t".join(
                table.cell(value, column, now) or "-" for column, value in _shown(row, columns).items()
            )
        yield ""


def screen(frame: Frame, *, said: str, width: int, now: datetime.datetime) -> Text:
    """The frame for a terminal that is ``width`` columns wide, with one line about itself."""
    from rich.text import Text

    shown = [styled(said, DIM), ""]
    for part, columns in _parts(frame):
        rows = [_shown(row, columns) for row in getattr(frame, part)]
        shown += (
            table.lines(
                rows,
                columns,
                width=width,
                now=now,
                heading=partial(styled, style=BOLD),
                style=_style,
                drop_empty=False,
            )
            if rows
            else [styled(f"no {part}", DIM)]
        )
        shown.append("")
    return Text.from_ansi("\n".join(shown), no_wrap=True)


def _parts(frame: Frame) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The parts of the frame that are shown, with their columns."""
    return (
        (part, columns) for part, columns in SECTIONS.items() if part not in OPTIONAL or getattr(frame, part)
    )


def _shown(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """The values of ``columns``; fields that belong together, or that never both matter, are shown in one."""
    error = f"{row.get('error_type') or ''}: {row.get('error_message') or ''}".strip(": ")
    queue = f"{row['queue']} (paused)" if row.get("paused") else row.get("queue")
    problem = row.get("problem") or row.get("last_error")
    all_of_it = {**row, "error": error, "queue": queue, "problem": problem}
    return {column: all_of_it[column] for column in columns}


def _style(row: Mapping[str, Any], column: str, text: str) -> str:
    if (column in {"dead", "error", "problem", "failed"} and row[column]) or text.strip() == "failed":
        return styled(text, RED)
    if column == "queue":
        return styled(text, YELLOW) if row[column].endswith(" (paused)") else styled(text, BOLD)
    return text if row[column] else styled(text, DIM)
