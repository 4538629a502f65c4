"""What the database takes as the input of a run: what its program can decode, and nothing that can't fit."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postmill.flows.accepted import accepted, is_checked_by_program
from postmill.handlers.invokers import decoder
from postmill.model.errors import InvalidPayload
from postmill.model.flow.input_defaults import defaults_of
from postmill.model.queue.payload import to_json
from postmill.model.queue.payload_type import fault
from tests.properties import FIRST_FAILURE
from tests.sql.asking import Database, column, refused, rows, value
from tests.sql.flow_scene import QUEUE, register, start, step

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

MISFITS = (
    "select postmill._misfit(pair -> 0, pair -> 1, pair #> '{1,$defs}')"
    "  from jsonb_array_elements($1::text::jsonb) with ordinality as each (pair, place) order by place"
)
INPUTS = "select input from postmill.runs order by run_id"


class Grade(IntEnum):
    LOW = 1
    HIGH = 2


class Tagged(msgspec.Struct, tag="t"):
    a: int = 1


class Other(msgspec.Struct, tag="o", forbid_unknown_fields=True):
    b: str


class Packed(msgspec.Struct, array_like=True):
    a: int
    b: str = ""


class Pair(NamedTuple):
    a: int
    b: str = ""


class Loose(TypedDict, total=False):
    a: int


@dataclass
class Site:
    a: str
    b: int | None = None
    c: list[int] = field(default_factory=list)
    d: Any = None
    inner: Site | None = None


@dataclass
class Odd:
    a: int
    kind: Any = field(default=len)


Small = Annotated[int, msgspec.Meta(ge=1, lt=3)]
Short = Annotated[str, msgspec.Meta(min_length=1, max_length=2)]
TYPES = [
    bool,
    int,
    float,
    str,
    bytes,
    Decimal,
    datetime,
    dict,
    list,
    Small,
    Short,
    Grade,
    Tagged,
    Tagged | Other,
    Tagged | None,
    Packed,
    Pair,
    Loose,
    Site,
    Odd,
    object,
    list[Site],
    set[int],
    Annotated[set[int], msgspec.Meta(max_length=1)],
    Annotated[list[Any], msgspec.Meta(min_length=1, max_length=2)],
    tuple[int, str],
    tuple[str, ...],
    dict[str, list[int]],
    dict[int, Small],
    Literal["a", 1, None],
    Decimal | None,
    int | str | list[Short],
]
SCALARS = st.sampled_from(
    [None, True, False, 0, 1, 1.0, 2, 3, 1.5, -1, "", "a", "abc", "t", "o", "1.5", "YQ=="]
)
NAMES = st.sampled_from(["a", "b", "c", "d", "inner", "type", "1"])
VALUES: SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=6,
)


def fits(annotation: Any, given: Any) -> bool:
    """Whether a program can decode it."""
    try:
        decoder(annotation)(json.dumps(given))
    except InvalidPayload:
        return False
    return True


@settings(FIRST_FAILURE, max_examples=40)
@given(values=st.lists(VALUES, min_size=1, max_size=20))
def test_what_a_program_can_decode_is_not_refused(db: Database, values: list[Any]) -> None:
    fitting = [(each, kind) for kind in TYPES for each in values if fits(kind, each)]
    found = column(db, MISFITS, json.dumps([(each, accepted(kind)) for each, kind in fitting]))
    assert [pair for pair, misfit in zip(fitting, found, strict=True) if misfit] == []


@settings(FIRST_FAILURE, max_examples=40)
@given(values=st.lists(VALUES, min_size=1, max_size=20))
def test_what_the_database_takes_fits_unless_the_program_looks_at_it(db: Database, values: list[Any]) -> None:
    judged = [kind for kind in TYPES if not is_checked_by_program(kind)]
    assert {int, Short, Small, Site} <= set(judged)
    wrong = [(each, kind) for kind in judged for each in values if not fits(kind, each)]
    found = column(db, MISFITS, json.dumps([(each, accepted(kind)) for each, kind in wrong]))
    assert [pair for pair, misfit in zip(wrong, found, strict=True) if not misfit] == []


BOUNDS = {
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
}


def bounded(kind: str) -> SearchStrategy[dict[str, Any]]:
    """A type with some of its bounds."""
    words = BOUNDS.get("number" if kind == "integer" else kind, ())
    bounds = st.fixed_dictionaries({}, optional={word: st.integers(0, 3) for word in words})
    return bounds.map(lambda chosen: {"type": kind, **chosen})


KINDS = ("string", "integer", "number", "boolean", "null", "array", "object")
PLAIN = st.sampled_from(KINDS).flatmap(bounded) | st.fixed_dictionaries(
    {"enum": st.lists(SCALARS, min_size=1, max_size=3)}
)
SCHEMAS: SearchStrategy[dict[str, Any]] = st.recursive(
    PLAIN | st.just({}) | st.just({"$ref": "#/$defs/part"}),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries(
            {"type": st.just("array")},
            optional={"items": inner | st.just(False), "prefixItems": st.lists(inner, max_size=2)},
        ),
        st.fixed_dictionaries(
            {"type": st.just("object")},
            optional={
                "properties": st.dictionaries(NAMES, inner, max_size=3),
                "required": st.lists(NAMES, max_size=2, unique=True),
                "additionalProperties": inner | st.booleans(),
            },
        ),
    ),
    max_leaves=5,
)
"""What types are told by. ``part`` is one that is named."""


@settings(FIRST_FAILURE, max_examples=20)
@given(pairs=st.lists(st.tuples(VALUES, SCHEMAS, PLAIN), min_size=20, max_size=40))
def test_the_form_and_the_database_give_one_answer(db: Database, pairs: list[tuple[Any, Any, Any]]) -> None:
    """Each for itself knows what fits a schema: the one in words for a person, the other for programs."""
    asked = [(given, {**schema, "$defs": {"part": part}}) for given, schema, part in pairs]
    refused_here = [fault(schema, given) is not None for given, schema in asked]
    refused_there = [misfit is not None for misfit in column(db, MISFITS, json.dumps(asked))]
    found = zip(asked, refused_here, refused_there, strict=True)
    assert [each for each in found if each[1] != each[2]] == []


@pytest.mark.parametrize(
    ("annotation", "wrong", "why"),
    [
        (int, "1", "$: expected integer, got string"),
        (int, 1.5, "$: expected integer, got 1.5"),
        (int, 1.0, "$: expected integer, got 1.0"),
        (list[int], [1, 2.0], "$[1]: expected integer, got 2.0"),
        (dict[str, int], {"k": 3.0}, "$.k: expected integer, got 3.0"),
        (str, None, "$: expected string, got null"),
        (dict, [], "$: expected object, got array"),
        (Small, 3, "$: expected less than 3, got 3"),
        (Small, 0, "$: expected at least 1, got 0"),
        (Short, "", "$: expected a length of at least 1, got 0"),
        (Short, "abc", "$: expected a length of at most 2, got 3"),
        (Grade, 3, "$ is none of [1, 2]"),
        (Site, {}, "$ has no field a"),
        (Site, {"a": "x", "c": [1, "2"]}, "$.c[1]: expected integer, got string"),
        (Site, {"a": "x", "inner": {"a": 1}}, "$.inner.a: expected string, got number"),
        (Odd, {"a": "1"}, None),
        (Other, {"type": "o", "b": "x", "c": 1}, "$ can't have a field c"),
        (Tagged | Other, {"type": "x", "b": "y"}, '$.type is none of ["o"]'),
        (Packed, [1, 2], "$[1]: expected string, got number"),
        (Pair, [], "$: expected a length of at least 1, got 0"),
        (tuple[int, str], ["a", "b"], "$[0]: expected integer, got string"),
        (tuple[str, ...], ["a", 1], "$[1]: expected string, got number"),
        (dict[str, list[int]], {"k": [None]}, "$.k[0]: expected integer, got null"),
        (list[int], [*range(1500), 0.5], "$[1500]: expected integer, got 0.5"),
        (list[Site], [*[{"a": "x"}] * 999, {}], "$[999] has no field a"),
        (list[Site], [*[{"a": "x"}] * 1000, {}], None),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(
    db: Database, annotation: Any, wrong: Any, why: str | None
) -> None:
    assert not fits(annotation, wrong)
    assert column(db, MISFITS, json.dumps([(wrong, accepted(annotation))])) == [why]


def site(db: Database) -> None:
    """A flow whose input is a site."""
    defaults = json.loads(to_json(defaults_of(Site)))
    register(db, step("a"), input={"accepts": accepted(Site), "defaults": defaults})


def test_an_input_that_does_not_fit_starts_nothing(db: Database) -> None:
    site(db)
    with refused("PM015", r"^the input does not fit the flow 'shop': \$\.a: expected string, got number"):
        start(db, {"a": 1})
    assert rows(db, f"select run_id from postmill.runs union all select msg_id from pgmq.q_{QUEUE}") == []
    start(db, {"a": "x", "more": 1})
    assert column(db, INPUTS) == [{"a": "x", "b": None, "c": [], "d": None, "inner": None, "more": 1}]


def test_the_run_that_has_the_key_is_found_whatever_the_type_has_become(db: Database) -> None:
    register(db, step("a"))
    before = start(db, {"a": 1}, key="k")
    register(db, step("a"), input={"accepts": {"type": "string"}})
    with refused("PM015", "expected string, got object"):
        start(db, {"a": 1})
    assert start(db, {"a": 1}, key="k") == before


def test_a_fork_is_given_an_input_that_fits_with_its_defaults(db: Database) -> None:
    site(db)
    run = start(db, {"a": "x"})
    with refused("PM015", r"\$ has no field a"):
        value(db, "select postmill.fork_run($1, input => '{\"b\": 1}')", run)
    value(db, 'select postmill.fork_run($1, input => \'{"a": "y"}\')', run)
    first, forked = column(db, INPUTS)
    assert forked == {**first, "a": "y"}


def test_a_schedule_is_not_made_for_an_input_that_can_not_fit(db: Database) -> None:
    site(db)
    with refused("PM015", r"\$ has no field a"):
        value(db, f"select postmill.schedule_flow('n', '@daily', '{QUEUE}')")
    assert rows(db, "select from postmill.schedules") == []
