"""Where the dashboard is mounted: its links, redirects and cookies stay inside of that path."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from starlette.responses import RedirectResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from postmill.api.desk import House


_AS_THEY_ARE = "/:@!$&'()*+,=~"
"""What a browser leaves in a path, and a cookie's path may have: both are compared letter by letter."""


def base_of(request: Request) -> str:
    """The path under which the dashboard is mounted, as a browser writes it, without a slash at its end."""
    return quote(str(request.scope.get("root_path", "")), _AS_THEY_ARE).rstrip("/")


def home_of(base: str, house: House) -> str:
    """Where all databases begin that are shown side by side; of one that is alone, where it is mounted."""
    return base if house.several is None else base.removesuffix(f"/{house.database}")


def asked_of(request: Request) -> str:
    """What is asked for inside of the dashboard, as the browser wrote it: ``%2F`` is no slash."""
    raw, query = request.scope.get("raw_path") or quote(request.scope["path"]).encode(), request.url.query
    path = raw.decode("latin-1").removeprefix(base_of(request))
    return f"{path}?{query}" if query else path


def came_from(request: Request) -> str:
    """The page whose form was sent, with its search, as the browser says; empty where it says none."""
    try:
        page = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return ""
    path = page.path.removeprefix(base_of(request))
    return f"{path}?{page.query}" if page.query else path


def inside(path: str) -> str:
    """The path, when it stays in the dashboard, else its first page. Browsers read ``//`` and a backslash as
    the beginning of another host.
    """
    stays = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if stays else "/"


def go_to(request: Request, path: str) -> RedirectResponse:
    """On to a page of the dashboard, after a form or instead of a page."""
    return RedirectResponse(base_of(request) + inside(path), HTTPStatus.SEE_OTHER)


def keep(request: Request, answer: Response, name: str, value: str, life_s: int, base: str) -> None:
    """A cookie for what is below ``base``, which no script reads. Lax, not strict: a link in a mail arrives
    signed in.
    """
    answer.set_cookie(
        name,
        value,
        max_age=life_s,
        path=base or "/",
        secure=_is_https(request),
        httponly=True,
        samesite="lax",
    )


def _is_https(request: Request) -> bool:
    """Whether the browser speaks https, with this process or with a proxy before it. A header that says so
    untruly costs only its sender the cookie.
    """
    told = request.headers.get("x-forwarded-proto", request.url.scheme)
    return told.partition(",")[0].strip().lower() == "https"


def forget(answer: Response, name: str, base: str) -> None:
    """Take the cookie away again."""
    answer.delete_cookie(name, base or "/")
