"""``examples/cluster``: documents are signed on the cluster, and the two that share their text are found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    from tests.cluster.ray_node import RayNode

ROOT = Path(__file__).parents[2]


def test_documents_that_share_text_are_found(
    ray_node: RayNode, db: psycopg.Connection[dict[str, Any]], database_url: str, tmp_path: Path
) -> None:
    for number in range(12):
        text = " ".join(f"word{number * 1000 + at}" for at in range(300))
        (tmp_path / f"{number}.md").write_text(text, encoding="utf-8")
    copied = (tmp_path / "3.md").read_text(encoding="utf-8")
    (tmp_path / "copy.md").write_text(copied + " and a few words more", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "examples.cluster", str(tmp_path), "--shard", "5"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "POSTMILL_DB_URL": database_url, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "13 documents in 3 shards."
    assert len(lines) > 2, done.stdout + done.stderr
    (first, second) = [line.split() for line in lines if line.endswith(".md")][:2]
    assert first[1:] == ["3.md", "copy.md"]
    assert float(first[0]) > 0.8
    assert float(second[0]) < 0.2
    assert db.execute("select count(*) as signed from public.signatures").fetchone() == {"signed": 13}
    assert done.stderr.count("message.progress") + done.stdout.count("message.progress") == 13
