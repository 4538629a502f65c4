"""In Litestar: ``uvicorn examples.dashboard.with_litestar:app``, then http://127.0.0.1:8000/jobs/."""

import os
from typing import Any

from litestar import Litestar, asgi

from examples.dashboard.people import authorize
from postmill.dashboard import application

dashboard = application(db_url=os.environ["DATABASE_URL"], authorize=authorize)


@asgi("/jobs", is_mount=True, copy_scope=True)
async def jobs(scope: Any, receive: Any, send: Any) -> None:
    """Litestar takes the prefix from the path, and puts a slash at its end: both are made good."""
    path = "/jobs" + (scope["path"].rstrip("/") or "/")
    await dashboard({**scope, "path": path, "root_path": "/jobs"}, receive, send)


app = Litestar([jobs])
