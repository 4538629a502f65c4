"""The demo's site does what its worker is tested against: real files, and real trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from examples.scraper import sitemap, trouble
from examples.scraper.reading import links
from examples.scraper.site import Site, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small library: a module, a package, and what must not be listed."""
    library = tmp_path / "a library"
    (library / "package").mkdir(parents=True)
    (library / "__pycache__").mkdir()
    (library / "plain.py").write_text("x = 1\n")
    (library / "data.txt").write_text("no Python\n")
    (library / "package" / "odd & ends.py").write_text("y = 2\n")
    (library / "package" / "loop").symlink_to(library)
    return library


@pytest.fixture
def site(root: Path) -> Iterator[Site]:
    with serving(sitemap.build({"/library/": root}, pages=100)) as running:
        yield running


def crawl(client: httpx.Client, start: str) -> dict[str, int]:
    """Every page's status by its address, found by following links; trouble is not asked for."""
    seen: dict[str, int] = {}
    waiting = [start]
    while waiting:
        url = waiting.pop()
        if url in seen or httpx.URL(url).path in trouble.PAGES:
            continue
        response = client.get(url)
        seen[url] = response.status_code
        if response.headers["content-type"].startswith("text/html"):
            waiting += links(url, response.text)
    return seen


def test_every_page_is_reached_by_its_links_and_nothing_else_is_listed(site: Site) -> None:
    with httpx.Client() as client:
        found = crawl(client, site.url)
    assert set(found.values()) == {200}
    assert sorted(url.removeprefix(site.url) for url in found) == [
        "",
        "library/",
        "library/package/",
        "library/package/odd%20%26%20ends.py",
        "library/plain.py",
        "trouble/",
    ]


def test_the_number_of_pages_is_bounded_and_this_python_has_enough() -> None:
    assert len(sitemap.build(sitemap.this_python(), pages=1500)) == 1500
    assert len(sitemap.build(sitemap.this_python(), pages=40)) == 40


def test_a_busy_page_says_when_to_come_back_and_then_answers(site: Site) -> None:
    with httpx.Client(base_url=site.url) as client:
        answers = [client.get("trouble/busy-twice.py") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["retry-after"] == "1"


def test_an_ordinary_page_can_be_busy_too(root: Path) -> None:
    name = next(f"module_{n}.py" for n in range(1000) if trouble.busy_tries(f"/library/module_{n}.py") == 2)
    (root / name).write_text("z = 3\n")
    with serving(sitemap.build({"/library/": root}, pages=100)) as site, httpx.Client() as client:
        answers = [client.get(f"{site.url}library/{name}").status_code for _ in range(3)]
    assert answers == [503, 503, 200]


def test_a_page_that_hangs_sends_nothing(site: Site) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{site.url}trouble/hangs.py", timeout=0.05)


def test_a_page_cut_short_is_an_error_and_then_whole(site: Site) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{site.url}trouble/cut-short-once.py")
    assert httpx.get(f"{site.url}trouble/cut-short-once.py").status_code == 200


@pytest.mark.parametrize("path", ["trouble/missing.py", "etc/passwd", "library/../../etc/passwd"])
def test_what_is_not_listed_is_not_there(site: Site, path: str) -> None:
    assert httpx.get(site.url + path).status_code == 404
