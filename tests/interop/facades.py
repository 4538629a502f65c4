"""For tests of other pgmq clients: without a facade, beside each one alone, and beside all."""

from __future__ import annotations

import pytest

from postmill.db.tools.facades import FACADES

beside_each_facade = pytest.mark.parametrize(
    "with_facades",
    [(), *[(facade,) for facade in FACADES], FACADES],
    ids=["alone", *[f"beside {facade.name}" for facade in FACADES], "beside every facade"],
    indirect=True,
)
