"""``group_key=``: the rule that it comes to, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from postmill import Flow, each
from postmill.model.errors import InvalidFlow

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Link:
    host: str
    parts: list[str]


@dataclass
class Site:
    tenant: str | None
    number: int
    links: list[Link]
    names: list[str]


def new() -> Any:
    """A flow with a step that gives links, and one that may be skipped."""
    flow = Flow("site", input=Site)

    @flow.step
    def links(found: list[Link] = flow.input.links) -> list[Link]:
        return found

    @flow.step(when=flow.input.number == 1)
    def maybe() -> str:
        return ""

    return flow


def one(flow: Any, key: object) -> Any:
    return flow.step(name="one", group_key=key)(lambda: 1)


def over(flow: Any, items: object, key: object) -> Any:
    return flow.map(name="over", group_key=key)(lambda item=items: 1)


@pytest.mark.parametrize(
    ("define", "rule", "needs"),
    [
        (lambda f, s: one(f, None), None, ()),
        (lambda f, s: one(f, "reports"), {"key": "reports"}, ()),
        (lambda f, s: one(f, f.input.tenant), {"of": "input", "path": ["tenant"]}, ()),
        (lambda f, s: one(f, f.input.number), {"of": "input", "path": ["number"]}, ()),
        (lambda f, s: one(f, s["links"].out[0].host), {"of": "links", "path": ["0", "host"]}, ("links",)),
        (lambda f, s: one(f, s["maybe"].maybe), {"of": "maybe", "path": []}, ("maybe",)),
        (
            lambda f, s: over(f, each(f.input.links), f.input.tenant),
            {"of": "input", "path": ["tenant"]},
            (),
        ),
        (lambda f, s: over(f, each(f.input.links), each(f.input.links).host), {"item": ["host"]}, ()),
        (lambda f, s: over(f, each(f.input.names), each(f.input.names)), {"item": []}, ()),
        (lambda f, s: over(f, s["links"].each, s["links"].each.host), {"item": ["host"]}, ("links",)),
        (
            lambda f, s: f.call("resize", name="c", group_key=f.input.tenant),
            {"of": "input", "path": ["tenant"]},
            (),
        ),
    ],
)
def test_a_key_is_a_text_or_stands_in_the_input_an_output_or_an_item(
    define: Callable[..., Any], rule: Any, needs: tuple[str, ...]
) -> None:
    """The step waits for what its key is read of."""
    flow = new()
    step = define(flow, flow.steps)
    assert step.chosen.group == rule
    assert step.shape.needs == needs
    assert step.chosen.as_json().get("group") == rule


def test_the_key_follows_the_program() -> None:
    assert one(new(), "a").shape.as_json() == one(new(), None).shape.as_json()


@pytest.mark.parametrize(
    ("told", "define"),
    [
        ("group_key='' of step 'one' is no key", lambda f, s: one(f, "")),
        ("is no key of a group.*1 to 200 characters", lambda f, s: one(f, "x" * 201)),
        ("group_key=7 of step 'one' is no key", lambda f, s: one(f, 7)),
        ("group_key=<step links> of step 'one' is no key", lambda f, s: one(f, s["links"])),
        ("takes group_key: .* gives list", lambda f, s: one(f, f.input.names)),
        ("no field 'tenat'.*Did you mean tenant", lambda f, s: one(f, f.input.tenat)),
        ("'maybe' may be skipped", lambda f, s: one(f, s["maybe"].out)),
        ("reads 'input', which is no earlier", lambda f, s: one(f, Flow("b", input=Site).input.tenant)),
        (r"each\(links\)\.host of step 'one' is not of the items", lambda f, s: one(f, s["links"].each.host)),
        (
            r"each\(input\.links\)\.host of step 'over' is not of the items",
            lambda f, s: over(f, s["links"].each, each(f.input.links).host),
        ),
        (
            r"reads each\(links\)\.hots: Link has no field",
            lambda f, s: over(f, s["links"].each, s["links"].each.hots),
        ),
        (
            r"each\(links\)\.parts gives list",
            lambda f, s: over(f, s["links"].each, s["links"].each.parts),
        ),
        (
            r"takes group_key: .*links\.each gives Link",
            lambda f, s: over(f, s["links"].each, s["links"].each),
        ),
        (
            r"links\.each has no field 'host' while",
            lambda f, s: over(f, s["links"].each.host, None),
        ),
        ("option 'group_key' of a sleep", lambda f, s: f.sleep(3, group_key="a")),
        ("option 'group_key' of a run", lambda f, s: f.run(f, f.input, name="again", group_key="a")),
    ],
)
def test_what_can_be_no_key_is_refused(told: str, define: Callable[..., Any]) -> None:
    flow = new()
    with pytest.raises(InvalidFlow, match=told):
        define(flow, flow.steps)
