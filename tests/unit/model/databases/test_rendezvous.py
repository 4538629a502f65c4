"""The home of a key: test vectors, and what moves when the databases change."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.model.databases.rendezvous import home, score

KEYS = [f"tenant-{number}" for number in range(2_000)]
NAMES = st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True), min_size=1, max_size=6, unique=True)


@pytest.mark.parametrize(
    ("key", "eu1_begins", "of_three"),
    [
        ("acme", "85486abef30131f1", "eu3"),
        ("", "efe4112b8669f6a9", "eu1"),
        ("ü", "ca76c948eb2cbd97", "eu1"),
        ("42", "8423c05933de54d5", "eu3"),
        ("tenant-7", "0074db3dc12b70af", "eu2"),
    ],
)
def test_test_vectors(key: str, eu1_begins: str, of_three: str) -> None:
    assert score("eu1", key).hex()[:16] == eu1_begins
    assert home(key, ["eu1", "eu2", "eu3"]) == of_three


@given(NAMES, st.text(max_size=20))
def test_the_order_of_the_names_says_nothing(names: list[str], key: str) -> None:
    assert home(key, names) == home(key, reversed(names))


@given(NAMES, st.text(max_size=20))
def test_a_key_moves_to_the_new_database_or_not_at_all(names: list[str], key: str) -> None:
    assert home(key, [*names, "new"]) in {home(key, names), "new"}


def test_keys_are_spread_evenly() -> None:
    found = Counter(home(key, ["eu1", "eu2", "eu3", "eu4"]) for key in KEYS)
    assert all(400 < count < 600 for count in found.values()), found


def test_a_database_that_is_taken_out_gives_its_keys_to_all_others() -> None:
    before = {key: home(key, ["eu1", "eu2", "eu3"]) for key in KEYS}
    after = {key: home(key, ["eu1", "eu2"]) for key in KEYS}
    moved = Counter(after[key] for key in KEYS if after[key] != before[key])
    assert sum(moved.values()) == Counter(before.values())["eu3"]
    assert set(moved) == {"eu1", "eu2"}
