"""Pictures of flows."""

from __future__ import annotations

from postmill.dashboard.drawing.graph import HEIGHT, WIDTH, Step, counts, picture, shortened


def chain(count: int, state: str = "waiting") -> list[Step]:
    return [
        Step(name=f"s{number}", state=state, needs=(f"s{number - 1}",) if number else ())
        for number in range(count)
    ]


def test_each_step_is_a_box_and_each_need_a_line() -> None:
    drawn = picture(
        [
            Step(name="fetch", state="completed"),
            Step(name="pages", kind="map", state="started", needs=("fetch",), tasks=1200, done=400),
            Step(name="alert", kind="wait", needs=("fetch",), condition='fetch.lang == "en"'),
        ]
    )
    assert [(box.name, box.state, box.note) for box in drawn.boxes] == [
        ("fetch", "completed", ""),
        ("pages", "started", "400 of 1,200"),
        ("alert", "waiting", "wait"),
    ]
    assert [(line.state, line.conditional) for line in drawn.lines] == [
        ("completed", False),
        ("completed", True),
    ]
    assert all(
        0 <= box.x <= drawn.width - WIDTH and 0 <= box.y <= drawn.height - HEIGHT for box in drawn.boxes
    )
    assert not drawn.is_folded


def test_lines_begin_and_end_at_boxes() -> None:
    drawn = picture(chain(2))
    upper, lower = drawn.boxes
    middle = upper.x + WIDTH / 2
    assert drawn.lines[0].path.startswith(f"M{middle:g} {upper.y + HEIGHT:g}C")
    assert drawn.lines[0].path.endswith(f" {middle:g} {lower.y:g}")


def test_many_steps_are_folded_with_their_counts() -> None:
    steps = [
        Step(name="first", state="completed"),
        *(Step(name=f"done{n}", state="completed", needs=("first",)) for n in range(150)),
        *(Step(name=f"left{n}", state="waiting", needs=("first",)) for n in range(150)),
        Step(name="last", needs=tuple(f"left{n}" for n in range(150))),
    ]
    drawn = picture(steps)
    assert [(box.name, box.state) for box in drawn.boxes] == [
        ("first", "completed"),
        ("150 steps", "completed"),
        ("150 steps", "waiting"),
        ("last", "waiting"),
    ]
    assert len(drawn.lines) == 3
    assert drawn.is_folded
    assert drawn.steps == 302
    assert len(picture(steps, whole=True).boxes) == 302


def test_a_long_chain_is_folded_into_bands() -> None:
    drawn = picture([*chain(250, "completed"), *chain(500)[250:]])
    assert len(drawn.boxes) <= 25
    assert sum(len(box.steps) for box in drawn.boxes) == 500


def test_two_hundred_steps_are_drawn_one_by_one() -> None:
    assert not picture(chain(200)).is_folded
    assert picture(chain(201)).is_folded


def test_nothing_is_drawn_of_nothing() -> None:
    assert picture([]).boxes == ()


def test_names_are_shortened_by_their_width() -> None:
    assert shortened("fetch", 5) == "fetch"
    assert shortened("fetches", 5) == "fetc…"
    assert shortened("日本語の名前", 6) == "日本…"
    assert shortened("日本語", 6) == "日本語"


def test_states_are_counted() -> None:
    assert counts([*chain(2, "completed"), *chain(1)]) == {"completed": 2, "waiting": 1}
