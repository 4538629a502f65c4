"""A number of a payload that nobody touched stays what it was, on pages, in the API and by an edit: it went
through a float, and ``12345678901234567.89`` became ``1.2345678901234568e+16``.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

NUMBERS = (
    '{"half": 0.5, "more": 12345678901234567890123, "price": 1.10, "small": 0.0000000000000000000000012,'
    ' "total": 12345678901234567.89}'
)


@pytest.fixture
def work(db: Db) -> Db:
    """A message and a dead letter with such numbers."""
    db.execute("select postmill.create_queue('mail')")
    db.execute("select postmill.send('mail', $1::jsonb)", (NUMBERS,))
    db.execute(
        """insert into postmill.dead_letters
                  (queue_name, msg_id, read_ct, enqueued_at, message, attempts, kind, reason)
           values ('mail', 99, 1, now(), $1::jsonb, 1, 'error', 'x')""",
        (NUMBERS,),
    )
    return db


def typed(page: httpx.Response) -> str:
    """What stands in the field of the payload."""
    found = re.search(r'<textarea[^>]*name="message"[^>]*>(.*?)</textarea>', page.text, re.DOTALL)
    assert found is not None
    return html.unescape(found[1])


@pytest.mark.parametrize(
    ("page", "form"),
    [("/dead/1", "/dead/1/replay"), ("/queues/mail?like=1", "/queues/mail/send")],
    ids=["edited", "sent like another"],
)
async def test_what_is_typed_into_the_form_for_it_is_sent_as_it_was(
    browser: httpx.AsyncClient, work: Db, page: str, form: str
) -> None:
    done = await browser.post(form, data={"message": typed(await browser.get(page))})
    assert done.status_code == 303
    same = "select count(*) as same from pgmq.q_mail where message::text = $1::jsonb::text"
    assert work.execute(same, (NUMBERS,)).fetchone() == {"same": 2}


async def test_pages_and_the_api_have_its_digits(browser: httpx.AsyncClient, work: Db) -> None:
    for path in ("/queues/mail/messages/1", "/dead/1", "/queues/mail/messages"):
        shown = html.unescape((await browser.get(path)).text)
        assert '"price": 1.10' in shown, path
    for path in ("/api/v1/queues/mail/messages/1", "/api/v1/dead-letters/1"):
        assert f'"message":{NUMBERS.replace(" ", "")}' in (await browser.get(path)).text, path
