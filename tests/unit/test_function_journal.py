"""The log of functions: whoever made a line, it says which function it belongs to."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from postmill.host.journal import FunctionJournal

if TYPE_CHECKING:
    import pytest


def test_a_worker_s_line_belongs_to_its_function(caplog: pytest.LogCaptureFixture) -> None:
    """`postmill logs --function mailer` shows what the workers in it say."""
    made = {"function": "deliver", "queue": "mail", "worker": "1f0c"}
    with caplog.at_level(logging.INFO, "postmill"):
        FunctionJournal().write(logging.INFO, "worker.started", "mailer", "0123456789", made)
    (record,) = caplog.records
    told = {"function": "mailer", "execution": "01234567", "queue": "mail", "worker": "1f0c"}
    assert record.fields == told  # type: ignore[attr-defined]
