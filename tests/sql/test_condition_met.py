"""``postmill._condition_met``: the rule of ``postmill.model.flow.condition``, in SQL."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from postmill.model.flow.condition import evaluate
from tests.sql.asking import rows

if TYPE_CHECKING:
    from tests.sql.asking import Database

SCALARS: tuple[Any, ...] = (None, True, False, 0, 1, 1.0, -2.5, "", "a", "1", "true", "ü")
NAMES = ("a", "b", "0", "")
CASES = 2000


def value(chance: random.Random, depth: int = 3) -> Any:
    kind = chance.random() if depth else 0.0
    if kind < 0.4:
        return chance.choice(SCALARS)
    if kind < 0.7:
        return [value(chance, depth - 1) for _ in range(chance.randrange(4))]
    return {name: value(chance, depth - 1) for name in chance.sample(NAMES, chance.randrange(4))}


def part_of(chance: random.Random, whole: Any) -> Any:
    """A pattern that is often contained: the whole with parts left out, doubled or moved."""
    if isinstance(whole, dict):
        return {name: part_of(chance, inner) for name, inner in whole.items() if chance.random() < 0.6}
    if isinstance(whole, list):
        kept = [part_of(chance, inner) for inner in whole if chance.random() < 0.7]
        chance.shuffle(kept)
        return kept + kept[:1]
    return whole if chance.random() < 0.9 else chance.choice(SCALARS)


def condition(chance: random.Random, given: Any, depth: int = 2) -> dict[str, Any]:
    kind = chance.random()
    if depth and kind < 0.2:
        return {"all": [condition(chance, given, depth - 1) for _ in range(chance.randrange(3))]}
    if depth and kind < 0.4:
        return {"not": condition(chance, given, depth - 1)}
    path = [chance.choice((*NAMES, "1", "7")) for _ in range(chance.randrange(4))]
    read = {"of": "input", "path": path}
    if kind < 0.7:
        return {**read, "equals": chance.choice(SCALARS)}
    pattern = part_of(chance, given) if kind < 0.9 else value(chance)
    return {**read, "has": pattern if isinstance(pattern, dict | list) else {}}


def test_it_says_what_the_model_says(db: Database) -> None:
    chance = random.Random(20)
    cases = []
    for _ in range(CASES):
        given = value(chance)
        cases.append((condition(chance, given), given))
    told = rows(
        db,
        "select postmill._condition_met(t.condition::jsonb, 0, t.given::jsonb) as met"
        " from unnest($1::text[], $2::text[]) with ordinality as t (condition, given, place) order by place",
        [json.dumps(each) for each, _ in cases],
        [json.dumps(given) for _, given in cases],
    )
    known = [evaluate(each, {"input": given}) for each, given in cases]
    wrong = [case for case, met, row in zip(cases, known, told, strict=True) if row["met"] != met]
    assert wrong == []
    assert CASES / 5 < sum(known) < CASES * 4 / 5
