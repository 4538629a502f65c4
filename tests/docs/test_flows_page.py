"""The reference of flows is complete, and its programs run."""

from __future__ import annotations

import importlib.util
import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from postmill import Ctx, Flow
from postmill.flows import step_options
from postmill.flows.flow_options import NOT_OF_FLOWS
from postmill.flows.start_options import StartOptions
from postmill.flows.startable import Startable
from postmill.flows.workflow import Workflow
from postmill.testing.flows import simulate

if TYPE_CHECKING:
    from types import ModuleType

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "flows.md"
TEXT = PAGE.read_text(encoding="utf-8")
LETTERS = {"S": step_options.STEP, "M": step_options.MAP, "R": step_options.RUN, "W": step_options.PLACE}
PROGRAM = re.compile(r"^```python\n# (?P<name>\w+)\.py\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def rows(heading: str) -> dict[str, list[str]]:
    """The rows of the table under a heading of a first column, by what stands in it."""
    table = TEXT.partition(f"\n| {heading} |")[2].partition("\n\n")[0]
    cells = [line.strip("|").split(" | ") for line in table.splitlines()[2:]]
    return {row[0].strip(" `"): [cell.strip() for cell in row[1:]] for row in cells}


def program(name: str, folder: Path) -> ModuleType:
    """One of the page's programs, imported."""
    text = next(each["text"] for each in PROGRAM.finditer(TEXT) if each["name"] == name)
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"page_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_option_of_a_step_is_told_with_the_kinds_that_take_it() -> None:
    told = {option: set(cells[0].split()) for option, cells in rows("option").items()}
    taken = {option: {letter for letter, known in LETTERS.items() if option in known} for option in told}
    taken["timeout"].add("W")  # of a wait it is an argument of its own
    assert told == taken
    assert set().union(*LETTERS.values()) == told.keys()


def test_every_option_of_a_flow_a_workflow_and_a_start_is_told() -> None:
    named = {
        "option of `Flow(name, ...)`": {*inspect.signature(Flow).parameters} - {"name", "options"}
        | {"schedule", "timezone", "retention", "max_output"},
        "option of `@workflow(...)`": {*inspect.signature(Workflow).parameters} - {"function", "options"}
        | {"queue", "retry", "timeout", "schedule", "timezone", "retention", "max_output"},
        "option of `options(...)`": {*inspect.signature(Startable.options).parameters} - {"self"},
    }
    for heading, options in named.items():
        assert rows(heading).keys() == options, heading
    assert len(fields(StartOptions)) == len(named["option of `options(...)`"])
    assert [option for option in NOT_OF_FLOWS if f"`{option}`" not in TEXT] == []


def test_every_call_of_the_context_and_every_kind_is_told() -> None:
    calls = " ".join(rows("call"))
    assert [name for name in vars(Ctx) if not name.startswith("_") and f"ctx.{name}" not in calls] == []
    kinds = " ".join(rows("definition"))
    own = {"step", "map", "wait", "approval", "sleep", "run", "call", "sql"}
    assert [name for name in own if f"flow.{name}" not in kinds] == []
    public = {name for name, value in vars(Flow).items() if inspect.isfunction(value) and name[0] != "_"}
    assert public - own == {"has", "encode", "check_input", "takes_one", "handler"}


@pytest.mark.parametrize(
    ("feeds", "said"), [([], "17 bytes, 0 failed, 0 news"), (["a"], "17 bytes, 0 failed, 1 news")]
)
async def test_the_flow_of_the_page_runs(tmp_path: Path, feeds: list[str], said: str) -> None:
    site: Any = program("site", tmp_path)
    run = await simulate(site.site, site.Site("https://a.example", feeds))
    assert (run.output(site.report), run.result) == (said, {"notify": len(said)})


async def test_the_workflow_of_the_page_runs(tmp_path: Path) -> None:
    shop: Any = program("shop", tmp_path)
    assert (await simulate(shop.checkout, shop.Order(1, 20.0))).result == "parcel 1"
    large = await simulate(shop.checkout, shop.Order(1, 2000.0))
    assert (large.reason, large.undone) == ("not approved", ["refund"])
