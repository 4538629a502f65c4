"""A flow as its users have it: a file in a project, `postmill serve`, a run started and watched over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from tests.serving import Serving

if TYPE_CHECKING:
    from pathlib import Path

CHECKOUT = """
from postmill.flows import Ctx, Signal, workflow

approved = Signal("approved", bool)


@workflow(name="checkout")
async def checkout(ctx: Ctx, order: str) -> str:
    ok = await ctx.wait(approved)
    return f"{order}: {ok}"
"""


def test_a_run_is_started_signalled_and_watched_until_its_end(tmp_path: Path, database_url: str) -> None:
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "checkout.py").write_text(CHECKOUT, encoding="utf-8")
    (tmp_path / "postmill.toml").write_text("", encoding="utf-8")
    with Serving(tmp_path, "serve", "--port", "0", environment={"POSTMILL_DB_URL": database_url}) as serving:
        serving.said("worker.started")
        with httpx.Client(base_url=f"{serving.url}/flows/v1", timeout=60) as client:
            secret = {"apikey": serving.keys.secret}
            run = client.post("/checkout/runs", json={"order": "o-1"}, headers=secret).json()
            path, token = f"/runs/{run['run_id']}", {"token": run["token"]}
            with client.stream("GET", f"{path}/events", params=token) as response:
                lines = response.iter_lines()
                next(line for line in lines if '"running"' in line or '"waiting"' in line)
                client.post(f"{path}/signals/approved", json=True, headers=secret)
                assert any('"completed"' in line for line in lines), "and then the stream ends"
                assert list(lines)[-1:] in ([], [""])
            assert client.get(path, params=token).json()["output"] == "o-1: True"
        assert serving.stop() == 0
