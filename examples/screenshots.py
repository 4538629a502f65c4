"""``python -m examples.screenshots``: takes the pictures of the dashboard from real pages, with chromium.

A worker analyses the demo's site meanwhile, so that a run is in the middle of its work. Takes half a minute.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import threading
import time
from contextlib import chdir, contextmanager
from typing import TYPE_CHECKING

import uvicorn

from examples.captures import FOLDER, PATIENCE_S, POSTMILL, ROOT
from examples.flows import demo
from examples.flows.site import Site, site
from examples.scraper import processes
from postmill import app
from postmill.api.viewer import Role, Viewer
from postmill.dashboard.application import application

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from typing import Any

PAGES = 120
SIZE = "1280,1000"
"""Of a picture, in pixels: what a README shows without making letters too small."""
FIRST_PAGES_S = 1.5
"""After that time of a run, its map is in the middle of its work."""


async def _anybody(_: MutableMapping[str, Any]) -> Viewer:
    return Viewer("ada", Role.OPERATOR)


@contextmanager
def served(url: str) -> Iterator[str]:
    """The dashboard over a database, and where it is."""
    dashboard = application(db_url=url, authorize=_anybody)
    server = uvicorn.Server(uvicorn.Config(dashboard, port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    dashboard.end_streams()
    server.should_exit = True
    thread.join(PATIENCE_S)


def take(name: str, address: str) -> None:
    """Write the picture ``name`` of the page. Raises ``FileNotFoundError`` without chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise FileNotFoundError("There is no chromium: make test-deps installs it.")
    options = ("--headless=new", "--no-sandbox", "--hide-scrollbars", f"--window-size={SIZE}")
    picture = FOLDER / f"{name}.png"
    subprocess.run(
        [chromium, *options, "--virtual-time-budget=2000", f"--screenshot={picture}", address],
        check=True,
        capture_output=True,
        timeout=PATIENCE_S,
    )


async def main() -> None:
    """Take them while a run works."""
    with (
        processes.site(PAGES) as pages,
        demo.started("examples.flows.site:site"),
        app.database(app.load_settings({})) as where,
        served(where.url) as address,
    ):
        run = await site.start(Site(pages))
        await asyncio.sleep(FIRST_PAGES_S)
        await asyncio.to_thread(take, "run", f"{address}/runs/{run.run_id}")
        await run.result(timeout=PATIENCE_S)


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(ROOT)  # the site and the worker are started elsewhere
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        asyncio.run(main())
        subprocess.run([*POSTMILL, "db", "stop", "-y"], capture_output=True, check=False)
