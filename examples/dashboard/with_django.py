"""In Django, as its ``asgi.py``: ``uvicorn examples.dashboard.with_django:app``, then http://127.0.0.1:8000/jobs/."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application

from examples.dashboard.people import authorize
from postmill.dashboard import application

if not settings.configured:  # a project has its settings in a file
    settings.configure(SECRET_KEY=os.urandom(32).hex(), ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])

urlpatterns: list[Any] = []
django = get_asgi_application()
dashboard = application(db_url=os.environ["DATABASE_URL"], authorize=authorize)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """What is below ``/jobs`` is the dashboard's, the rest is Django's."""
    if scope["type"] == "http" and (scope["path"] + "/").startswith("/jobs/"):
        await dashboard({**scope, "root_path": "/jobs"}, receive, send)
    else:
        await django(scope, receive, send)
