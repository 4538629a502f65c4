"""The bounds of silence, beside each other: how often a worker is heard of, how long others wait for it, and
the same numbers in SQL.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import postmill
from postmill.model.queue import silence
from postmill.sql.catalog import scripts, statement

RENEWAL_S = 0.5
"""Generous: it is one statement."""
LEASES_S = (1, 3, 10, 30, 120, 3600)
HOMES = {"functions/_silent_after.sql", "views/active_workers.sql"}


def pruning_s() -> float:
    (milliseconds,) = re.findall(r"statement_timeout = '(\d+)ms'", statement("prune_limit"))
    return int(milliseconds) / 1000


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_the_slowest_sign_of_an_idle_worker_is_in_time_to_be_shown(chance: float) -> None:
    """Beats came up to 5.5 s apart, and a pruning could make it more than the 6 s after which one is not
    shown.
    """
    beat_s = silence.beat_s(10, holding=False, chance=chance)
    slowest_s = silence.write_after_s(10, holding=False) + beat_s + pruning_s() + RENEWAL_S
    assert slowest_s < silence.SHOWN_S


@pytest.mark.parametrize("lease_s", LEASES_S)
def test_a_worker_that_holds_messages_is_heard_of_often_enough(lease_s: float) -> None:
    """The last sign before a stall may be a sixteenth of the bound old: more is left of it than the stall
    takes.
    """
    beat_s = silence.beat_s(lease_s, holding=True, chance=1.0)
    written_s = silence.write_after_s(lease_s, holding=True) + beat_s
    assert written_s <= silence.judged_s(lease_s) / 16
    assert silence.judged_s(lease_s) >= max(10, lease_s)


@pytest.mark.parametrize("lease_s", LEASES_S)
def test_a_stall_shorter_than_a_lease_ends_none(lease_s: float) -> None:
    """The oldest lease when a stall begins: it was too young for one renewal, and waited for the next."""
    oldest_s = silence.renewed_from_s(lease_s) + silence.renewal_s(lease_s)
    assert silence.granted_s(lease_s) >= oldest_s + lease_s


@pytest.mark.parametrize("lease_s", LEASES_S)
def test_a_handler_is_told_before_anything_can_have_been_taken(lease_s: float) -> None:
    oldest_sign_s = silence.judged_s(lease_s) / 16
    assert silence.told_after_s(lease_s) < lease_s
    assert silence.told_after_s(lease_s) <= silence.judged_s(lease_s) - oldest_sign_s


def test_twenty_idle_workers_ask_seldom() -> None:
    """With a poll each five seconds and a pruning each minute they stay below twenty statements a second."""
    beats = 20 / silence.beat_s(10, holding=False, chance=0.5)
    assert beats + 20 / 5 + 20 / 60 < 20


def test_the_bounds_are_the_same_in_sql() -> None:
    judged = dict(scripts("functions"))["_silent_after"]
    shown = dict(scripts("views"))["active_workers"]
    assert f"greatest(interval '{silence.JUDGED_S:.0f} seconds', lease)" in judged
    assert f"last_heartbeat_at >= clock_timestamp() - interval '{silence.SHOWN_S:.0f} seconds'" in shown
    gone = dict(scripts("functions"))["_gone_workers"]
    assert f"lock_free_at < clock_timestamp() - interval '{silence.LOCK_FREE_S:.0f} second'" in gone


def test_no_other_sql_has_a_bound_of_its_own() -> None:
    """There were seven literals in five files."""
    root = Path(postmill.__file__).parent / "sql"
    own = re.compile(r"last_heartbeat_at.*[(][)] - interval '\d+ s|'10 seconds'")
    bounded = {str(path.relative_to(root)) for path in root.rglob("*.sql") if own.search(_code(path))}
    assert bounded - {"migrations/0003_worker_leases.sql"} == HOMES


def _code(path: Path) -> str:
    return "\n".join(line.split("--")[0] for line in path.read_text().splitlines())
