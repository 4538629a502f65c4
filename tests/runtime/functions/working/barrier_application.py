"""The same, as an application: Starlette runs plain functions in threads of its own."""

import threading

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

TOGETHER = threading.Barrier(50)


def home(request):
    TOGETHER.wait(50)
    return PlainTextResponse("together")


app = Starlette(routes=[Route("/", home)])
