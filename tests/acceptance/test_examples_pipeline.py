"""``postmill dev examples/pipeline/functions``: pictures through three functions, as the page says."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from PIL import Image
from psycopg.rows import dict_row

from tests.serving import Serving

if TYPE_CHECKING:
    from tests.acceptance.conftest import Cli

FOLDER = Path(__file__).parents[2] / "examples" / "pipeline"
GIVE_UP_S = 120.0
PICTURES, BROKEN, WIDTHS = 20, 2, 2
AT_THE_END = {
    "draw": {"completed": PICTURES},
    "resize": {"completed": (PICTURES - BROKEN) * WIDTHS, "dead": BROKEN * WIDTHS},
    "sheet": {"completed": 1, "cancelled": 1},
}


@pytest.mark.slow
def test_pictures_go_through_three_functions(tmp_path: Path, cli_without_database: Cli) -> None:
    """A broken picture has no copies: the sheet that can do without is made, the other one is cancelled."""
    (tmp_path / "postmill.toml").write_text("[runtime]\nport = 0\n")
    pictures = tmp_path / "pictures"
    with Serving(tmp_path, "dev", str(FOLDER / "functions")) as serving:
        url = cli_without_database("db", "url").out.strip()
        with psycopg.connect(url, autocommit=True, row_factory=dict_row) as db:
            start = (FOLDER / "start.sql").read_text()
            assert "'/tmp/pictures'" in start
            db.execute(start.replace("'/tmp/pictures'", f"'{pictures}'").encode())
            end = time.monotonic() + GIVE_UP_S
            while (found := _progress(db)) != AT_THE_END:
                assert time.monotonic() < end, found
                time.sleep(0.1)
            (nightly,) = db.execute(b"select state, target from postmill.schedule_list").fetchall()
        assert serving.stop() == 0
    assert (nightly["state"], "start_pictures" in nightly["target"]["command"]) == ("active", True)
    with Image.open(pictures / "what there is.png") as sheet:
        assert sheet.size == (4 * 160, 5 * 106)
    assert not (pictures / "complete.png").exists()


def _progress(db: psycopg.Connection[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """What ``progress.sql`` shows, without what there is none of."""
    rows = db.execute((FOLDER / "progress.sql").read_bytes()).fetchall()
    return {row.pop("queue_name"): {state: count for state, count in row.items() if count} for row in rows}
