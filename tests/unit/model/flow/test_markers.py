"""Markers: paths and conditions; any other use is refused with what to do instead."""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from postmill.model.errors import InvalidFlow
from postmill.model.flow.markers import Source, condition_from, each_of, marker, not_
from postmill.model.flow.shape import Read

if TYPE_CHECKING:
    from collections.abc import Callable

FETCH = Source(None, "fetch", Any)
out = marker(FETCH)


def test_attributes_and_items_are_a_path() -> None:
    assert out.page["links"][0].url.postmill_read == Read("fetch", ("page", "links", "0", "url"))
    assert repr(out.page.html) == "fetch.out.page.html"
    assert repr(marker(Source(None, "input", Any)).url) == "input.url"


def test_a_field_of_an_item_is_told_from_a_field_of_the_list() -> None:
    assert each_of(out.links).host.name.postmill_read == Read("fetch", ("links",), "each", ("host", "name"))
    assert repr(each_of(out.links).host) == "each(fetch.links).host"
    with pytest.raises(InvalidFlow, match=r"fetch\.partial has no field 'url'"):
        _ = marker(FETCH, "partial").url


def test_an_item_is_read_of_whatever_stands_for_a_list() -> None:
    assert each_of(out.links).postmill_read == Read("fetch", ("links",), "each")
    for wrong in (["a"], each_of(out)):
        with pytest.raises(InvalidFlow, match=r"each\(links\.out\.found\)"):
            each_of(wrong)


@pytest.mark.parametrize(
    "use",
    [
        bool,
        len,
        iter,
        str,
        int,
        float,
        lambda m: m != 1,
        lambda m: m < 1,
        lambda m: 1 <= m,  # noqa: SIM300
        lambda m: 1 in m,
        lambda m: f"{m}/index.html",
        lambda m: m + "/",
        lambda m: "/" + m,
        lambda m: m % 2,
        lambda m: m(),
        lambda m: m.lower(),
        lambda m: m == out,
        lambda m: m[-1],
        lambda m: m[1:2],
        lambda m: m and m,
        lambda m: 0 < m < 3,
    ],
)
def test_a_value_that_is_not_there_yet_can_be_used_in_no_other_way(use: Callable[[Any], Any]) -> None:
    with pytest.raises(InvalidFlow, match="fetch") as refused:
        use(out.url)
    assert refused.value.why
    assert refused.value.hint


def test_membership_in_a_constant_list_is_refused_too() -> None:
    with pytest.raises(InvalidFlow, match="`in` can't"):
        _ = out.url in (1, 2)


@pytest.mark.parametrize("kind", ["each", "partial"])
def test_items_and_partial_results_have_no_equals(kind: Any) -> None:
    with pytest.raises(InvalidFlow, match="can't be compared"):
        _ = marker(FETCH, kind) == 1


def test_comparing_makes_a_condition_and_a_bare_bool_is_one() -> None:
    is_true = {"of": "fetch", "path": ["ok"], "equals": True}
    english = {"of": "fetch", "path": ["lang"], "equals": "en"}
    assert condition_from(out.ok).json == is_true
    assert (out.ok & ("en" == out.lang)).json == {"all": [is_true, english]}  # noqa: SIM300
    assert ((out.lang == "en") & out.ok).json == {"all": [english, is_true]}
    assert (~out.ok).json == not_(out.ok).json == {"not": is_true}
    assert (out.ok | out.ok).json == ((out.ok == True) | out.ok).json  # noqa: E712
    with pytest.raises(InvalidFlow, match="True is no condition"):
        condition_from(True)


def test_a_marker_stands_as_a_default_and_can_be_copied() -> None:
    """``==`` gives no bool: what compares defaults must not meet it."""

    def step(page: Any = out.page, **_other: Any) -> None: ...

    assert inspect.signature(step).parameters["page"].default is step.__defaults__[0]  # type: ignore[index]
    assert copy.copy(out.page).postmill_read == out.page.postmill_read
    assert len({out, out.page}) == 2
