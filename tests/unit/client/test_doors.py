"""A number that JSON does not have, or that no float holds, passes none of the client's doors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from postmill.client import runs, scheduling, sending
from postmill.client.options import Then
from postmill.model.errors import InvalidPayload

if TYPE_CHECKING:
    from collections.abc import Callable

WRONG = [{"a": math.nan}, [math.inf], (-math.inf,), msgspec.Raw(b"1e400"), {"a": msgspec.Raw(b"-1E+400")}]
DOORS: dict[str, Callable[[Any], object]] = {
    "send": lambda wrong: sending.one("q", wrong),
    "send with options": lambda wrong: sending.one("q", wrong, priority=3),
    "headers": lambda wrong: sending.one("q", {}, headers={"h": wrong}),
    "headers of a job": lambda wrong: sending.one("q", {}, headers={"h": wrong}, priority=3),
    "a follower": lambda wrong: sending.one("q", {}, then_send=Then("r", wrong)),
    "many": lambda wrong: list(sending.many("q", [{}, wrong])),
    "many jobs": lambda wrong: list(sending.many("q", [{}, wrong], priority=3)),
    "replay": lambda wrong: sending.replaying("q", [1], wrong),
    "start": lambda wrong: runs.starting("f", wrong),
    "signal": lambda wrong: runs.signalling(1, "s", wrong, many=False),
    "fork's input": lambda wrong: runs.forking(1, None, wrong, None),
    "fork's outputs": lambda wrong: runs.forking(1, None, None, {"step": wrong}),
    "schedule": lambda wrong: scheduling.making("n", "q", wrong, "@daily"),
    "schedule's headers": lambda wrong: scheduling.making("n", "q", {}, "@daily", headers={"h": wrong}),
    "call's body": lambda wrong: scheduling.calling("n", "@daily", url="http://a", body=wrong),
    "call's params": lambda wrong: scheduling.calling("n", "@daily", url="http://a", params={"p": wrong}),
    "call's headers": lambda wrong: scheduling.calling("n", "@daily", url="http://a", headers={"h": wrong}),
    "flow's schedule": lambda wrong: scheduling.starting("n", "f", wrong, "@daily"),
}


@pytest.mark.parametrize("door", DOORS)
def test_no_door_lets_it_pass(door: str) -> None:
    DOORS[door]({"a": 1.5, "b": msgspec.Raw(b"1.50")})  # what is right passes
    for wrong in WRONG:
        with pytest.raises(InvalidPayload, match=r"NaN or infinity|too large for a float"):
            DOORS[door](wrong)
