"""How a run looks while it is watched."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from postmill.cli.terminal.run_view import MARKS, lines

NOW = datetime(2030, 1, 31, 9, 0, tzinfo=UTC)
STYLE = re.compile(r"\x1b\[\d+m")


def step(name: str, state: str, **more: Any) -> dict[str, Any]:
    known = {"tasks": None, "tasks_done": None, "reason": None, "signal": None, "kind": "step"}
    times = {"started_at": NOW - timedelta(seconds=3), "ended_at": None, "undone_at": None}
    return {"step": name, "state": state, **known, **times, **more}


def shown(
    *steps: dict[str, Any], height: int = 40, plain: bool = False, blocked: str | None = None
) -> list[str]:
    run = {"flow": "site", "run_id": 7, "state": "running", "blocked": blocked, "steps": steps}
    return [STYLE.sub("", line) for line in lines(run, now=NOW, height=height, plain=plain)]


def test_each_state_has_its_mark() -> None:
    found = shown(*(step(state, state) for state in MARKS))
    assert [line.split()[:2] for line in found[1:]] == [
        [mark, state] for state, (mark, _, _) in MARKS.items()
    ]


def test_a_map_shows_how_far_it_is() -> None:
    (_, line) = shown(step("crawl", "started", tasks=40, tasks_done=10))
    assert line == "  ● crawl  █████░░░░░░░░░░░░░░░ 10/40 3.0 s"


def test_a_step_that_was_undone_says_so() -> None:
    """It read as any that is done."""
    done = step("pay", "completed", ended_at=NOW)
    assert shown(done | {"undone_at": NOW}, done)[1:] == ["  ✓ pay  3.0 s undone", "  ✓ pay  3.0 s"]


def test_where_a_terminal_lacks_characters_it_is_ascii() -> None:
    found = shown(
        step("a", "completed", ended_at=NOW), step("m", "started", tasks=2, tasks_done=1), plain=True
    )
    assert "\n".join(found).isascii()


def test_it_says_why_it_does_not_go_on_and_what_a_step_waits_for() -> None:
    found = shown(
        step("w", "started", kind="wait", signal="paid", started_at=None),
        step("f", "failed", reason="it broke\nin line 7"),
        blocked="waiting for signal paid (step w)",
    )
    assert found == [
        "site · run 7 · waiting for signal paid (step w)",
        "  ● w  waits for signal paid",
        "  ✗ f  3.0 s it broke",
    ]


def test_of_a_long_run_what_goes_on_is_shown() -> None:
    steps = [
        step(f"s{at}", "completed" if at < 500 else "started" if at == 500 else "waiting")
        for at in range(1000)
    ]
    found = shown(*steps, height=13)
    assert (len(found), found[-1]) == (12, "and 990 more steps")
    assert any("● s500" in line for line in found)


def test_what_a_terminal_obeys_is_escaped() -> None:
    (_, line) = shown(step("\x1b[2J", "failed", reason="\x1b]0;title\x07"))
    assert "\x1b" not in line
