"""An ASGI application whose start-up fails."""

from contextlib import asynccontextmanager

from starlette.applications import Starlette


@asynccontextmanager
async def lifespan(app):
    raise ConnectionError("no database")
    yield


app = Starlette(lifespan=lifespan)
