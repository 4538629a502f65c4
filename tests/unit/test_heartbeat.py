"""How often a worker shows that it is alive, beside how long others wait for it."""

from __future__ import annotations

import re

import pytest

from postmill.engine.heartbeat import PERIOD_S, SILENT_S, next_beat_s
from postmill.sql.catalog import scripts, statement

RENEWAL_S = 0.5
"""Generous: it is one statement."""


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_the_slowest_sign_of_life_is_in_time(chance: float) -> None:
    """Beats came up to 5.5 s apart, and a pruning could make it more than the 6 s after which one is dead."""
    (pruning_ms,) = re.findall(r"statement_timeout = '(\d+)ms'", statement("prune_limit"))
    assert next_beat_s(chance) + int(pruning_ms) / 1000 + RENEWAL_S < SILENT_S
    assert next_beat_s(chance) <= PERIOD_S


def test_what_counts_as_silent_is_the_same_in_sql() -> None:
    rescue = dict(scripts("functions"))["rescue"]
    assert f"last_heartbeat_at < clock_timestamp() - interval '{SILENT_S:.0f} seconds'" in rescue
