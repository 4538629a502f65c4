"""An ASGI application: a lifespan, routes below its own path, a WebSocket."""

from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute


@asynccontextmanager
async def lifespan(app):
    print("starting up")
    yield {"greeting": "from the lifespan"}
    print("shutting down")


async def item(request):
    return JSONResponse({"id": request.path_params["id"], "state": request.state.greeting})


async def echo(socket):
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text.upper())


app = Starlette(routes=[Route("/items/{id}", item), WebSocketRoute("/echo", echo)], lifespan=lifespan)
