"""The way to the streams: for those who are known, and as long as they are."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from postmill.dashboard.live.streaming import Streaming
from postmill.model.errors import PostmillError

if TYPE_CHECKING:
    from starlette.requests import Request

    from postmill.dashboard.live.hub import Poll
    from postmill.dashboard.security.access import Access


class Watching:
    """The streams of an application, and their route."""

    def __init__(self, poll: Poll, access: Access) -> None:
        self._access = access
        self.streaming = Streaming(poll)
        self.route = Route("/live", self._answer, methods=["GET"])

    async def _answer(self, request: Request) -> Response:
        try:
            viewer = await self._access.viewer(request.scope)
        except PostmillError:
            return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE, headers={"retry-after": "5"})
        if viewer is None:
            return Response(status_code=HTTPStatus.UNAUTHORIZED)
        return await self.streaming.answer(request, viewer, lambda: self._is_known(request))

    async def _is_known(self, request: Request) -> bool:
        """Whether its viewer still is. While that can't be asked, nothing new is told, and it may go on."""
        with suppress(PostmillError):
            return await self._access.viewer(request.scope) is not None
        return True
