"""The drawings say what is there: the rooms, the states and events of a message, the processes. Their text
is text, is readable on a light and a dark page, and no text covers another one or is cut.
"""

from __future__ import annotations

import re
import tomllib
from itertools import combinations
from pathlib import Path
from typing import NamedTuple, get_args
from xml.etree import ElementTree

import click
import pytest

from postmill.cli.main import root
from postmill.model.events import Event
from postmill.model.queue.outcome import Outcome
from postmill.sql.catalog import scripts

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "postmill"
PAGES = ROOT / "docs" / "explanation"
DRAWINGS = sorted((PAGES / "drawings").glob("*.svg"))
SHOWN_ON = {
    "rooms.svg": "architecture.md",
    "processes.svg": "architecture.md",
    "life.svg": "life-of-a-message.md",
    "waiting.svg": "how-messages-wait.md",
    "locks.svg": "how-messages-wait.md",
    "flows.svg": "flows.md",
}
SVG = "{http://www.w3.org/2000/svg}"
WIDTHS = {"bold": 0.66, "mono": 0.61, "plain": 0.53}
"""Widths of a character, as parts of the font's size. Measured in DejaVu Sans, which is wider than others."""


class Text(NamedTuple):
    """One line of text in a drawing, and the room that it takes."""

    text: str
    kinds: frozenset[str]
    x: float
    y: float

    @property
    def size(self) -> float:
        return 11 if self.kinds & {"event", "module"} else 12 if "note" in self.kinds else 13

    @property
    def width(self) -> float:
        font = "bold" if self.kinds & {"room", "state", "command"} else "plain"
        return WIDTHS["mono" if self.kinds & {"event", "module"} else font] * self.size * len(self.text)

    @property
    def left(self) -> float:
        return self.x - self.width * (0.5 if "middle" in self.kinds else "end" in self.kinds)

    def covers(self, other: Text) -> bool:
        apart = self.left + self.width <= other.left or other.left + other.width <= self.left
        return not apart and abs(self.y - other.y) < max(self.size, other.size) * 0.9


def tree(name: str) -> ElementTree.Element:
    return ElementTree.parse(PAGES / "drawings" / name).getroot()


def texts(name: str, kind: str = "") -> list[Text]:
    found = [
        Text(
            each.text or "",
            frozenset(each.get("class", "").split()),
            *(float(each.attrib[at]) for at in "xy"),
        )
        for each in tree(name).iter(f"{SVG}text")
    ]
    return [each for each in found if not kind or kind in each.kinds]


def words(name: str, kind: str) -> set[str]:
    return {each.text for each in texts(name, kind)}


def test_the_rooms_are_those_that_exist_in_the_order_of_the_import_contract() -> None:
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0][
        "layers"
    ]
    there = {path.parent.name for path in SOURCE.glob("*/__init__.py")} | {"app"}
    wanted = [[room for room in re.findall(r"\w+", layer) if room in there] for layer in layers]
    rows: dict[float, list[str]] = {}
    for room in texts("rooms.svg", "room"):
        rows.setdefault(room.y, []).append(room.text.removesuffix(".py"))
    assert [rows[y] for y in sorted(rows)] == [row for row in wanted if row]
    assert {room for row in rows.values() for room in row} == there


def test_the_life_of_a_message_has_every_state_and_no_other() -> None:
    found = re.search(r"array\[(.+?)\]", dict(scripts("functions"))["_check_state"])
    assert found is not None
    assert words("life.svg", "state") == set(re.findall(r"'(\w+)'", found[1]))


def test_the_life_of_a_message_has_every_event_and_outcome_and_no_other() -> None:
    told = {str(event) for event in Event if event.startswith("message.")}
    assert words("life.svg", "event") == told | {Event.LEASE_LOST, Event.CLAIMS_RESCUED}
    assert words("life.svg", "outcome") == {outcome.__name__ for outcome in get_args(Outcome)}


def test_the_tables_that_say_what_a_message_waits_for_are_drawn() -> None:
    """Both drawings show the same tables: those that exist, and all that a waiting message needs."""
    (migration,) = (text for name, text in scripts("migrations") if name == "0007_job_features")
    needed = set(
        re.findall(r"^create table postmill\.(gates|groups|unique_keys|edges|blocked) ", migration, re.M)
    )
    assert needed == {"gates", "groups", "unique_keys", "edges", "blocked"}
    assert (
        words("waiting.svg", "module") == words("locks.svg", "module") == needed | {"claims", "pgmq.q_orders"}
    )


def test_locks_are_drawn_in_the_order_that_the_migration_gives() -> None:
    (migration,) = (text for name, text in scripts("migrations") if name == "0007_job_features")
    order = re.search(r"Lock order: ([^.]+)\.", migration.replace("\n-- ", " "))
    assert order is not None
    given = [re.sub(r"queue rows", "pgmq.q_orders", name).split()[0] for name in order[1].split(", ")]
    rows = sorted(texts("locks.svg", "module"), key=lambda each: each.y)
    drawn = [each.text for each in rows if each.text in given]
    skipped = "groups"  # never waited for by a claim, so its place in the order is free
    assert [name for name in drawn if name != skipped] == [name for name in given if name != skipped]


def test_every_module_that_is_started_as_a_process_is_drawn_and_every_drawn_one_exists() -> None:
    drawn = words("processes.svg", "module")
    assert [path for path in sorted(drawn) if not (SOURCE / path).is_file()] == []
    started = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if re.search(
            r'^if __name__ == "__main__"|multiprocessing\.get_context', path.read_text(), re.MULTILINE
        )
    }
    assert {path for path in started if not path.startswith("bench/")} - drawn == set()


def test_every_command_that_keeps_running_is_drawn_and_every_drawn_one_exists() -> None:
    drawn = [name.removeprefix("postmill ").split() for name in words("processes.svg", "command")]
    for names in drawn:
        command: click.Command = root
        for name in names:
            assert isinstance(command, click.Group)
            found = command.get_command(click.Context(command), name)
            assert found is not None, names
            command = found
    lasting = [
        path.stem for path in SOURCE.glob("cli/commands/*.py") if ".keep_running()" in path.read_text()
    ]
    assert set(lasting) <= {names[0] for names in drawn}


def test_each_drawing_stands_on_its_page_with_a_text_for_those_who_do_not_see_it() -> None:
    assert {path.name for path in DRAWINGS} == set(SHOWN_ON)
    for name, page in SHOWN_ON.items():
        found = re.search(rf"!\[([^\]]+)\]\(drawings/{name}\)", (PAGES / page).read_text())
        assert found is not None, name
        assert len(found[1]) > 80


@pytest.mark.parametrize("path", DRAWINGS, ids=lambda path: path.stem)
def test_a_drawing_is_readable_on_light_and_dark_pages(path: Path) -> None:
    root = tree(path.name)
    assert "prefers-color-scheme: dark" in path.read_text()
    assert next(root.iter(f"{SVG}rect")).attrib["class"] == "paper", "it brings its own background"
    assert not root.findall(f".//{SVG}image")


@pytest.mark.parametrize("path", DRAWINGS, ids=lambda path: path.stem)
def test_no_text_of_a_drawing_is_cut_or_covers_another(path: Path) -> None:
    width, height = map(float, tree(path.name).attrib["viewBox"].split()[2:])
    found = texts(path.name)
    assert width <= 760, "the letters would be too small at 700 pixels"
    assert [each.text for each in found if each.left < 0 or each.left + each.width > width] == []
    assert [each.text for each in found if each.y < each.size or each.y > height - 3] == []
    assert [(a.text, b.text) for a, b in combinations(found, 2) if a.covers(b)] == []
