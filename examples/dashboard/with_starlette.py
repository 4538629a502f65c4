"""In Starlette: ``uvicorn examples.dashboard.with_starlette:app``, then http://127.0.0.1:8000/jobs/."""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.routing import Mount

from examples.dashboard.people import authorize
from postmill.dashboard import application

app = Starlette(routes=[Mount("/jobs", application(db_url=os.environ["DATABASE_URL"], authorize=authorize))])
