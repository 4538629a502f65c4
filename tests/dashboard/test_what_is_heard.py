"""What is heard of a page: one heading that names it, and a name of all that can have the focus."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from examples import busy

if TYPE_CHECKING:
    import httpx
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

VOID = {"input", "meta", "link", "br", "img"}
FIELDS = {"input", "select", "textarea"}


class Heard(HTMLParser):
    """Notes what has no name."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.nameless: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        has = dict(attrs)
        if tag in {"h1", "h2", "h3"}:
            self.headings.append(int(tag[1]))
        is_field = tag in FIELDS and "hidden" not in has and has.get("type") != "hidden"
        if (is_field and "label" not in self._open) or tag == "nav" or has.get("tabindex") == "0":
            self.nameless += [] if has.get("aria-label") else [self.get_starttag_text() or tag]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        while self._open and self._open.pop() != tag:
            pass


async def test_each_page_has_one_title_and_all_that_is_reached_has_a_name(
    browser: httpx.AsyncClient, db: Db
) -> None:
    paths = {
        **busy.pages(db, busy.filled(db)),
        "away": "/nothing-here",
        "no message": "/queues/emails/messages/0",
    }
    odd = {}
    for name, path in paths.items():
        page = Heard()
        page.feed((await browser.get(path)).text)
        steps = [after - before for before, after in zip(page.headings, page.headings[1:], strict=False)]
        if page.headings.count(1) != 1 or page.headings[0] != 1 or max(steps, default=0) > 1 or page.nameless:
            odd[name] = (page.headings, page.nameless)
    assert odd == {}
