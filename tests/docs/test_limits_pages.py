"""The examples of the pages about limits run as they stand, in their order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.sql.asking import Database, value

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
BLOCK = re.compile(r"^```sql\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("page", "queue", "limits"), [("limits-per-tenant", "imports", 4), ("rate-limits", "mails", 3)]
)
def test_the_examples_run(db: Database, page: str, queue: str, limits: int) -> None:
    blocks = BLOCK.findall((HOWTO / f"{page}.md").read_text(encoding="utf-8"))
    assert len(blocks) >= 5
    for block in blocks:
        for statement in block.split(";\n"):
            if statement.strip():
                db.execute(statement.encode())
    shown = "select count(*) from postmill.limits where queue_name = $1"
    assert value(db, shown, queue) == limits
