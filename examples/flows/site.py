"""A graph flow: fetch a site's first page, look into its folders, read every file, report.

What can't be read is collected, and fails neither the report nor the run: ``python -m examples.flows.site``.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httpx

from examples.flows import demo
from examples.scraper import processes
from examples.scraper.reading import UnreadableError, definitions, links
from postmill import Dead, Flow, Partial, Retry, each

PAGES = 120


@dataclass
class Site:
    """What is asked for."""

    url: str


@dataclass
class Page:
    """A page that leads to others."""

    url: str
    links: list[str]


@dataclass
class Summary:
    """What a file defines."""

    url: str
    functions: int
    classes: int


@dataclass
class Report:
    """What came of it."""

    files: int
    functions: int
    classes: int
    unread: list[str]


http = httpx.AsyncClient(timeout=None, follow_redirects=True)
site = Flow(
    "analyze_site",
    input=Site,
    timeout=2.0,
    retry=Retry.exponential(max_attempts=3, base=0.3),
    max_concurrent=16,
)


@site.step
async def fetch(url: str = site.input.url) -> Page:
    """The first page."""
    return Page(url, links(url, (await get(url)).text))


@site.map
async def look(folder: str = each(fetch.out.links)) -> list[str]:
    """What a folder's page links to."""
    return links(folder, (await get(folder)).text)


@site.step
async def files(found: list[list[str]] = look.out) -> list[str]:
    """Every file of every folder, once."""
    return sorted({link for folder in found for link in folder if link.endswith(".py")})


@site.map(max_concurrent=16, on_dead="collect")
async def read(url: str = files.each) -> Summary:
    """What one file defines; at most sixteen are read at once."""
    response = await get(url)
    source = response.text if response.charset_encoding else response.content
    try:
        found = await asyncio.to_thread(definitions, source)
    except UnreadableError as error:
        raise Dead(str(error)) from error
    kinds = [definition.kind for definition in found]
    return Summary(url, kinds.count("function"), kinds.count("class"))


@site.step
async def report(urls: list[str] = files.out, pages: Partial[Summary] = read.partial) -> Report:
    """Add up what was read, and name what was not."""
    return Report(
        files=len(pages.results),
        functions=sum(page.functions for page in pages.results),
        classes=sum(page.classes for page in pages.results),
        unread=[f"{urls[error.item]}: {error.reason}" for error in pages.errors],
    )


async def get(url: str) -> httpx.Response:
    """The page, or an error that says whether another try is worth it."""
    response = await http.get(url)
    status = f"{response.status_code} {response.reason_phrase}"
    if response.status_code in {429, 503}:
        raise Retry(status, after=float(response.headers.get("retry-after", 1)))
    if response.is_client_error:
        raise Dead(status)
    response.raise_for_status()
    return response


async def main() -> None:
    """Analyse the demo's site."""
    with processes.site(PAGES) as address, demo.started("examples.flows.site:site") as shown:
        run = await site.start(Site(address))
        await shown.watch(run)
        found = await run.output(report)
        shown.console.print(
            f"{found.files} files define {found.functions} functions and {found.classes} classes. Not read:"
        )
        for line in found.unread:
            shown.console.print(f"  {line}")


if __name__ == "__main__":
    asyncio.run(main())
