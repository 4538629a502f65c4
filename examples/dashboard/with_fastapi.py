"""In FastAPI: ``uvicorn examples.dashboard.with_fastapi:app``, then http://127.0.0.1:8000/jobs/."""

from __future__ import annotations

import os

from fastapi import FastAPI

from examples.dashboard.people import authorize
from postmill.dashboard import application

app = FastAPI()
app.mount("/jobs", application(db_url=os.environ["DATABASE_URL"], authorize=authorize))
