"""How a run looks while it is watched: a line a step, with a mark that changes as the step goes on. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.cli.terminal import table
from postmill.cli.terminal import text as terminal_text
from postmill.cli.terminal.text import BOLD, DIM, GREEN, RED, YELLOW, styled

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator, Mapping, Sequence

MARKS = {
    "waiting": ("○", ".", DIM),
    "started": ("●", "*", YELLOW),
    "completed": ("✓", "+", GREEN),
    "failed": ("✗", "!", RED),
    "skipped": ("↷", "-", DIM),
    "cancelled": ("■", "x", DIM),
}
"""Of each state of a step: its mark, what stands for it where there is no such character, and its style."""
BAR = 20
"""Characters of the bar that shows how many items of a map are done."""


def lines(
    run: Mapping[str, Any], *, now: datetime.datetime, height: int, plain: bool = False
) -> Iterator[str]:
    """The run and its steps, in at most ``height`` lines; ``plain`` in ASCII."""
    state = run["blocked"] or run["state"]
    yield terminal_text.one_line(
        f"{run['flow']} · run {run['run_id']} · {state}"
        if not plain
        else f"{run['flow']}, run {run['run_id']}: {state}"
    )
    steps: Sequence[Mapping[str, Any]] = run["steps"]
    shown = _fitting(steps, height - 3)
    width = max((len(step["step"]) for step in shown), default=0)
    for step in shown:
        yield _step(step, width, now, plain=plain)
    if len(shown) < len(steps):
        yield styled(f"and {len(steps) - len(shown)} more steps", DIM)


def _fitting(steps: Sequence[Mapping[str, Any]], most: int) -> list[Mapping[str, Any]]:
    """All of them, or else those round the first that is not done."""
    if len(steps) <= most:
        return list(steps)
    current = next((at for at, step in enumerate(steps) if step["state"] == "started"), len(steps))
    first = max(0, min(current - most // 2, len(steps) - most))
    return list(steps[first : first + most])


def _step(step: Mapping[str, Any], width: int, now: datetime.datetime, *, plain: bool) -> str:
    sign, ascii_sign, style = MARKS[step["state"]]
    name = terminal_text.one_line(step["step"])
    told = " ".join(filter(None, (_progress(step, plain=plain), _took(step, now), _why(step))))
    bright = BOLD if step["state"] == "started" else style
    mark, named = styled(ascii_sign if plain else sign, style), styled(f"{name:<{width}}", bright)
    return f"  {mark} {named}  {terminal_text.one_line(told)}".rstrip()


def _progress(step: Mapping[str, Any], *, plain: bool) -> str:
    if not step["tasks"]:
        return ""
    done = step["tasks_done"]
    full = done * BAR // step["tasks"]
    bar = ("#" * full + "." * (BAR - full)) if plain else ("█" * full + "░" * (BAR - full))
    return f"{bar} {done}/{step['tasks']}" if step["state"] == "started" else f"{step['tasks']} items"


def _took(step: Mapping[str, Any], now: datetime.datetime) -> str:
    if step["started_at"] is None or step["state"] in {"waiting", "cancelled", "skipped"}:
        return ""
    return table.age(max(0.0, ((step["ended_at"] or now) - step["started_at"]).total_seconds()))


def _why(step: Mapping[str, Any]) -> str:
    if step["kind"] == "wait" and step["state"] == "started":
        return f"waits for signal {step['signal']}"
    if step["undone_at"] is not None:
        return "undone"
    return str(step["reason"] or "").partition("\n")[0]
