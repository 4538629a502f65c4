"""The scraping worker: one message is one page. This file is all that a user of Postmill would write."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx

from examples.scraper.reading import Definition, UnreadableError, definitions, links
from postmill import Context, Dead, Retry, worker

if TYPE_CHECKING:
    from postmill.handlers import Transaction


@dataclass
class Page:
    """What a message says: which page to fetch."""

    url: str


# No timeout here: the worker's own covers the whole attempt, the reading and the writing too.
http = httpx.AsyncClient(timeout=None, follow_redirects=True)


@worker(
    queue="pages",
    max_concurrent=16,
    timeout=3.0,
    retry=Retry.exponential(max_attempts=4, base=0.5, max=10),
)
async def fetch(page: Page, ctx: Context) -> None:
    """Fetch a page; follow its links or take down what it defines."""
    waited = datetime.now(UTC) - ctx.message.enqueued_at
    response = await http.get(page.url)
    refuse(response)
    is_folder = response.headers["content-type"].startswith("text/html")
    found = links(page.url, response.text) if is_folder else []
    defined = [] if is_folder else await read(response)
    async with ctx.transaction() as tx:
        known = await tx.fetchval(
            "update scraper.pages set done_at = clock_timestamp(),"
            " attempts = $2, waited_ms = $3, links = $4, bytes = $5 where url = $1 returning true",
            page.url,
            ctx.attempt,
            waited.total_seconds() * 1000 if ctx.attempt == 1 else None,
            len(found) if is_folder else None,
            len(response.content),
        )
        if not known:
            raise Dead("a newer crawl has begun")
        await follow(tx, found)
        await keep(tx, page.url, defined)
    # Now all of it is committed: the findings, the messages for the links, and this message's completion.


def refuse(response: httpx.Response) -> None:
    """Sort out what went wrong: come back when the server says so, give up at once, or try again later."""
    status = f"{response.status_code} {response.reason_phrase}"
    if response.status_code in {429, 503}:
        raise Retry(status, after=float(response.headers.get("retry-after", 1)))
    if response.is_client_error:
        raise Dead(status)
    response.raise_for_status()  # any other error, like a broken connection, is retried by the policy above


async def read(response: httpx.Response) -> list[Definition]:
    """What the file defines; in a thread, since a large file takes 0.1 s and others wait on this loop."""
    source = response.text if response.charset_encoding else response.content
    try:
        return await asyncio.to_thread(definitions, source)
    except UnreadableError as error:
        raise Dead(str(error)) from error


async def follow(tx: Transaction, found: list[str]) -> None:
    """Send the pages that were not sent before. (Sorted links: pages that share some can't deadlock.)"""
    unseen = await tx.fetch(
        "insert into scraper.pages (url) select unnest($1::text[]) on conflict do nothing returning url",
        found,
    )
    for row in unseen:
        await tx.send(fetch, Page(row["url"]))


async def keep(tx: Transaction, url: str, defined: list[Definition]) -> None:
    """Store what the page defines, all in one statement."""
    await tx.execute(
        "insert into scraper.definitions (url, kind, name, line, summary)"
        " select $1, * from unnest($2::text[], $3::text[], $4::int[], $5::text[])",
        url,
        [each.kind for each in defined],
        [each.name for each in defined],
        [each.line for each in defined],
        [each.summary for each in defined],
    )
