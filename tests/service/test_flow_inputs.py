"""An input that does not fit ends its run, of whatever kind its type is, and no step is at fault."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date  # noqa: TC003 - decoders look at it
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pytest
from pydantic import BaseModel, Field

from postmill import AsyncClient
from postmill.flows.flow import Flow
from postmill.flows.run import Run
from postmill.flows.signal import Signal
from postmill.flows.steps import each
from postmill.model.errors import RunFailed
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    import asyncpg


class Amount(BaseModel):
    """What only its own library can check."""

    cents: int = Field(gt=0)
    of: list[str] = []


@dataclass
class Trip:
    """The database knows that a day is a text, and not which."""

    day: date
    of: list[str] = field(default_factory=list)


class Parcel(msgspec.Struct):
    """The database knows no patterns."""

    code: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]
    of: list[str] = []


@dataclass
class Doubt:
    """It checks itself."""

    n: int
    of: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.n == 0:
            raise ValueError("a doubt is not 0")


@pytest.mark.parametrize(
    ("kind", "right", "wrong", "said"),
    [
        (Amount, {"cents": 1}, {"cents": 0}, "cents: should be greater"),
        (Trip, {"day": "2026-02-28"}, {"day": "2026-02-30"}, "Invalid RFC3339 encoded date"),
        (Parcel, {"code": "DE"}, {"code": "de"}, "matching regex"),
        (Doubt, {"n": 1}, {"n": 0}, "a doubt is not 0"),
    ],
)
async def test_an_input_that_only_python_can_check_fails_the_run_before_its_first_steps(
    database_url: str, adb: asyncpg.Connection, kind: Any, right: Any, wrong: Any, said: str
) -> None:
    """A step that read one field of it ran, whatever stood in the others; and where it was skipped or
    collected, the run ended as completed.
    """
    flow: Flow[Any] = Flow("checked", input=kind)
    (name,) = right
    checked: Any = getattr(flow.input, name)
    ran: list[str] = []

    @flow.map(on_dead="collect")
    async def work(item: str = each(flow.input.of)) -> None:
        ran.append(item)

    @flow.step(on_dead="skip")
    async def tell(value: Any = checked) -> Any:
        return value

    async with running(database_url, flow.handler()):
        client = AsyncClient(adb)
        bad = Run(await client.runs.start("checked", wrong | {"of": ["a"]}), flow, adb)
        with pytest.raises(RunFailed, match=rf"input does not fit the flow 'checked'.*{re.escape(said)}"):
            await bad.result(timeout=GIVE_UP_S)
        good = Run(await client.runs.start("checked", right | {"of": ["b", "c"]}), flow, adb)
        assert await good.result(timeout=GIVE_UP_S) == {"work": [None, None], "tell": right[name]}
    assert sorted(ran) == ["b", "c"]


@pytest.mark.parametrize("wrong", [{"cents": 0}, None])
async def test_an_input_that_a_step_after_a_wait_reads_fails_the_run_too(
    database_url: str, adb: asyncpg.Connection, wrong: Any
) -> None:
    """No task of a first step came to a worker: its signal was there. What the settlement of ``between``
    tells of the next step took a null for no input.
    """
    flow = Flow("later", input=Amount)
    asked = flow.wait(Signal("asked", bool))

    @flow.step(after=[asked])
    async def between() -> int:
        return 1

    @flow.step(after=[between], on_dead="skip")
    async def tell(given: Any = flow.input) -> Any:
        return given

    async with running(database_url, flow.handler()):
        bad = Run(await AsyncClient(adb).runs.start("later", wrong), flow, adb)
        await AsyncClient(adb).runs.signal(bad.run_id, "asked", True)
        with pytest.raises(RunFailed, match="input does not fit the flow 'later'"):
            await bad.result(timeout=GIVE_UP_S)


async def test_an_input_that_fits_is_looked_at_once(database_url: str, adb: asyncpg.Connection) -> None:
    """Each item of a map over an input of megabytes looked at all of it."""
    flow = Flow("once", input=Trip)

    @flow.step
    async def first(day: date = flow.input.day) -> str:
        return day.isoformat()

    @flow.map(after=[first])
    async def work(item: str = each(flow.input.of)) -> str:
        return item

    looked: list[str] = []
    check = flow.check_input

    def looks(text: str) -> Any:
        looked.append(text)
        return check(text)

    flow.check_input = looks  # type: ignore[method-assign]
    async with running(database_url, flow.handler()):
        run = Run(
            await AsyncClient(adb).runs.start("once", {"day": "2026-02-28", "of": ["a", "b", "c"]}), flow, adb
        )
        assert await run.result(timeout=GIVE_UP_S) == {"work": ["a", "b", "c"]}
    assert len(looked) == 1
