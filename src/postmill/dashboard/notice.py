"""The sentence that an action leaves for the page after it, in a cookie of the browser.

It is plain, so that any process of the application reads it without a secret in common. A page of another
site can't set it; what has a host beside this one could, and then a sentence is shown: as text, once, on the
page that it names.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec
from starlette.datastructures import Headers

from postmill.auth.own_cookies import PREFIX
from postmill.dashboard.mount import asked_of, base_of, forget, inside, keep
from postmill.dashboard.security.access import cookies_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

COOKIE = f"{PREFIX}notice"
LIFE_S = 20
"""How long a notice waits for the page that shows it, in seconds. The page follows at once; 20 s are for a
slow connection, and a notice that comes later would be taken for one about something else.
"""
LONGEST = 500
"""Characters of a notice at most: browsers keep 4,096 bytes of a cookie, and such a one may take six each."""


class _Waiting(msgspec.Struct, array_like=True):
    page: str
    text: str


def leave(request: Request, answer: Response, to: str, text: str) -> None:
    """Let ``text`` wait for the page ``to`` of the dashboard."""
    waiting = _Waiting(_page(request, base_of(request) + inside(to)), text[:LONGEST])
    value = urlsafe_b64encode(msgspec.json.encode(waiting)).decode()
    keep(request, answer, COOKIE, value, LIFE_S, base_of(request))


def waiting_for(request: Request) -> str | None:
    """The notice that waits for this page."""
    page = _page(request, base_of(request) + asked_of(request))
    found = map(_read, cookies_of(Headers(scope=request.scope), COOKIE))
    return next((each.text for each in found if each is not None and each.page == page), None)


def take_away(request: Request, answer: Response) -> None:
    """It was shown."""
    forget(answer, COOKIE, base_of(request))


def _read(value: str) -> _Waiting | None:
    try:
        return msgspec.json.decode(urlsafe_b64decode(value), type=_Waiting)
    except (binascii.Error, ValueError):  # of another application
        return None


def _page(request: Request, address: str) -> str:
    """With its host: cookies ignore ports, on which there may be other dashboards."""
    return request.headers.get("host", "") + unquote(urlsplit(address).path)
