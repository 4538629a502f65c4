"""The flows that pages show run as they stand there, and come to what their pages say."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from postmill import AsyncClient, Dead, Flow
from postmill.model.errors import RunFailed
from postmill.testing import drain
from tests.service.calling import answering, serving

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg
    from aiohttp import web

    Db = psycopg.Connection[dict[str, Any]]
    Shown = Callable[..., Any]

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Shown:
    """The Python blocks of a page, or those with a text in them, as one module."""
    monkeypatch.setenv("POSTMILL_DB_URL", database_url)

    def load(page: str, only: str = "") -> Any:
        text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
        blocks = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
        module = ModuleType("shown")
        monkeypatch.setitem(sys.modules, "shown", module)  # where annotations are looked up
        source = "\n".join(block for block in blocks if only in block)
        exec(compile(source, page, "exec"), module.__dict__)
        return module

    return load


def steps(db: Db, run_id: int) -> dict[str, tuple[str, Any]]:
    """State and output of each step of a run."""
    rows = db.execute(
        "select step, state, output from postmill.steps where run_id = $1", (run_id,)
    ).fetchall()
    return {row["step"]: (row["state"], row["output"]) for row in rows}


def state(db: Db, run_id: int) -> tuple[str, str | None, str | None]:
    """State, culprit and reason of a run."""
    row = db.execute(
        "select state, culprit, reason from postmill.runs where run_id = $1", (run_id,)
    ).fetchone()
    assert row is not None
    return row["state"], row["culprit"], row["reason"]


async def known(database_url: str, *flows: Any) -> None:
    """A worker that starts tells the database what it has."""
    await drain(*flows, database=database_url)


async def test_the_tutorials_graph(shown: Shown, database_url: str, db: Db) -> None:
    page = shown("tutorial/first-flow", "packing")
    await known(database_url, page.packing)
    ada = await page.packing.start(page.Basket("Ada", ["apple", "melon"], gift=True))
    bob = await page.packing.start(page.Basket("Bob", ["pear"]))
    eve = await page.packing.start(page.Basket("Eve", ["apple", "stone"]))
    await drain(page.packing, database=database_url)
    assert await ada.output(page.label) == "1680 g, a ribbon for Ada"
    assert await bob.output(page.label) == "200 g, no ribbon"
    assert steps(db, bob.run_id)["wrap"][0] == "skipped"
    assert state(db, eve.run_id)[:2] == ("failed", "weigh")
    page.GRAMS["stone"] = 5000
    db.execute("select postmill.retry_run($1)", (eve.run_id,))
    account = await drain(page.packing, database=database_url)
    assert [each.outcome for each in account.attempts] == ["completed"] * 2, "the stone and the label"
    assert await eve.output(page.label) == "5180 g, no ribbon"


async def test_the_tutorials_durable_function(shown: Shown, database_url: str, db: Db) -> None:
    page = shown("tutorial/first-flow", "checkout")
    await known(database_url, page.checkout)
    small = await page.checkout.start(page.Order(1, 20.0))
    large = await page.checkout.start(page.Order(2, 2000.0))
    refused = await page.checkout.start(page.Order(3, 2000.0))
    await drain(page.checkout, database=database_url, delays="leave")
    assert await small.result() == "parcel 1"
    assert state(db, large.run_id)[0] == "waiting"
    assert await large.signal(page.approved, True)
    assert await refused.signal(page.approved, False)
    await drain(page.checkout, database=database_url, delays="leave")
    assert await large.result() == "parcel 2"
    assert state(db, refused.run_id)[0] == "failed"
    assert steps(db, refused.run_id)["undo:refund"] == ("completed", "receipt 3 given back")


async def test_a_map_lists_what_has_failed(shown: Shown, database_url: str) -> None:
    page = shown("howto/maps-and-windows")
    await known(database_url, page.thumbnails)
    run = await page.thumbnails.start(page.Order(["https://a", "b", "https://c"]))
    await drain(page.thumbnails, database=database_url)
    assert await run.output(page.report) == "2 shrunk; failed: 1: b is no address"
    assert await run.output(page.shrink) == ["https://a?width=100", "https://c?width=100"]


async def test_signals_reach_durable_functions(shown: Shown, database_url: str, db: Db) -> None:
    """One is sent before the run waits, one comes too late, and some are a queue."""
    page = shown("howto/signals-and-approvals")
    await known(database_url, page.purchase, page.dictation)
    bought = await page.purchase.start("a mill")
    db.execute(
        'select postmill.signal_run($1, \'approved\', \'{"ok": true, "by": "ada"}\')', (bought.run_id,)
    )
    ignored = await page.purchase.start("a horse")
    dictated = await page.dictation.start()
    for word in ("to", "be", "stop"):
        await dictated.signal(page.said, word)
    await drain(page.purchase, page.dictation, database=database_url)
    assert await bought.result() == "a mill: bought, says ada"
    assert await ignored.result() == "a horse: there was no answer"
    assert await dictated.result() == "to be"


async def test_signals_reach_graph_flows(shown: Shown, database_url: str) -> None:
    page = shown("howto/signals-and-approvals")
    await known(database_url, page.publishing)
    approved = await page.publishing.start(page.Draft(" the wind "))
    forgotten = await page.publishing.start(page.Draft("the sea"))
    await approved.signal(page.approved, page.Approval(ok=True, by="ada"))
    await drain(page.publishing, database=database_url)
    assert await approved.output(page.publish) == "The wind (approved by ada)"
    assert await forgotten.output(page.publish) == "not published"


async def test_what_was_done_is_undone(shown: Shown, database_url: str, db: Db) -> None:
    page = shown("howto/compensation")
    await known(database_url, page.travel)
    kept = await page.travel.start(page.Trip("Rome", 3))
    undone = await page.travel.start(page.Trip("Oslo", 40))
    await drain(page.travel, database=database_url)
    assert await kept.result() == "flight-Rome, hotel-Rome"
    assert state(db, undone.run_id)[0] == "failed"
    assert sorted(page.done) == ["cancelled flight-Oslo", "flight to Oslo", "flight to Rome"]


async def test_what_a_graphs_steps_did_is_undone(shown: Shown, database_url: str, db: Db) -> None:
    page = shown("howto/compensation")
    await known(database_url, page.touring)
    kept = await page.touring.start(page.Trip("Rome", 3))
    undone = await page.touring.start(page.Trip("Oslo", 40))
    await drain(page.touring, database=database_url)
    assert await kept.output(page.reserve_seat) == "seat on ticket-Rome"
    assert state(db, undone.run_id)[:2] == ("failed", "reserve_seat")
    assert page.done == ["gave back ticket-Oslo"]


async def test_a_patch_holds_for_runs_that_come_to_it_first(shown: Shown, database_url: str) -> None:
    page = shown("howto/versions-and-deploys")
    await known(database_url, page.dispatch)
    run = await page.dispatch.start(7)
    await drain(page.dispatch, database=database_url)
    assert await run.result() == "box 7, 3 kg"


async def test_a_fork_begins_at_its_step(shown: Shown, database_url: str, db: Db) -> None:
    page = shown("howto/resume-and-fork")
    await known(database_url, page.prices)
    first = await page.prices.start({"apple": -3.0})
    await drain(page.prices, database=database_url)
    assert state(db, first.run_id)[:2] == ("failed", "gross")
    text = (DOCS / "howto/resume-and-fork.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```sql\n(.*?)^```$", text, re.M | re.S)
    statements = [
        line.replace("(7,", f"({first.run_id},").encode()
        for line in re.findall(r"^(select .*?;)", block, re.M)
    ]
    forks = [row["fork_run"] for each in statements for row in db.execute(each).fetchall()]
    await drain(page.prices, database=database_url)
    assert [state(db, fork)[0] for fork in forks] == ["failed", "completed", "completed"]
    assert [steps(db, fork)["gross"][1] for fork in forks[1:]] == [119.0, 3.57]


async def test_a_schedule_starts_one_run_a_night(shown: Shown, database_url: str, db: Db) -> None:
    page = shown("howto/flows-on-a-schedule")
    await known(database_url, page.nightly_report)
    async with AsyncClient(database_url) as client:
        await page.set_up(client)
    [schedule] = db.execute("select target from postmill.schedule_list").fetchall()
    first, again = [db.execute(schedule["target"]["command"].encode()).fetchone() for _ in range(2)]
    assert first == again
    await drain(page.nightly_report, database=database_url)
    (run,) = db.execute("select state, output, key from postmill.runs").fetchall()
    assert (run["state"], run["output"]) == ("completed", "42 orders")
    assert run["key"].startswith("night of 2")


async def test_a_step_that_no_worker_has_waits_for_one(database_url: str, db: Db, shown: Shown) -> None:
    """What the page on deploys says of a program that has lost a step."""
    shown("howto/versions-and-deploys")
    old, new = Flow("parcels", input=int), Flow("parcels", input=int)

    async def pack(number: int = old.input) -> str:
        return f"box {number}"

    packed = old.step(pack)

    @old.step
    async def label(box: str = packed.out) -> str:
        return f"label of {box}"

    @new.step(name="pack")
    async def repack(number: int = new.input) -> str:
        return f"new box {number}"

    await known(database_url, old)
    run = await old.start(7)
    await drain(new, database=database_url)
    (listed,) = db.execute("select version, state, blocked from postmill.run_list").fetchall()
    assert (listed["version"], listed["state"]) == (1, "running")
    assert listed["blocked"] == "no worker for version 1 (step label)"
    await drain(old, database=database_url)
    assert await run.output(label) == "label of new box 7", "the new program had run the step that it has"


async def test_a_durable_run_is_forked_at_a_step(shown: Shown, database_url: str, db: Db) -> None:
    page = shown("coming-from/temporal")
    await known(database_url, page.subscription)
    run = await page.subscription.start("ada", 3)
    await drain(page.subscription, database=database_url)
    fork = await run.fork("bill#2")
    before = steps(db, run.run_id)
    assert steps(db, fork.run_id)["bill"] == before["bill"]
    assert "bill#2" not in steps(db, fork.run_id)
    await drain(page.subscription, database=database_url)
    assert (await run.result(), await fork.result()) == (18, 18)


async def test_flows_call_functions(shown: Shown, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first answer is an error, the second one no JSON: a call is a step that is tried again."""
    page = shown("howto/call-functions-from-flows")
    await known(database_url, page.welcome, page.farewell)
    answers = [answering(503, "not now"), answering(200, "<p>"), answering(200, '{"message": "hi"}')]
    async with serving() as target:

        async def answer(request: web.Request) -> web.StreamResponse:
            return await answers[min(target.at[request.path], 3) - 1](request)

        target.answers["/functions/v1/hello"] = answer
        target.answers["/functions/v1/goodbye"] = answering(200, '{"message": "bye"}')
        monkeypatch.setenv("SUPABASE_URL", target.url)
        monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", "key")
        run, other = await page.welcome.start(page.Guest("ada")), await page.farewell.start("bob")
        await drain(page.welcome, database=database_url)
        await drain(page.farewell, database=database_url)
        assert (await run.output(page.remember), await other.result()) == ("remembered: hi", "bye")
    assert target.bodies == ['{"name":"ada"}'] * 3 + ['{"name":"bob"}']
    assert {request.headers["apikey"] for request in target.seen} == {"key"}


async def test_a_call_needs_to_know_where_functions_are(
    shown: Shown, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUPABASE_URL", raising=False)
    page = shown("howto/call-functions-from-flows")
    run = await page.welcome.start(page.Guest("ada"))
    await drain(page.welcome, database=database_url)
    with pytest.raises(RunFailed, match="SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY are not both set"):
        await run.result()


async def test_what_a_signal_answers(shown: Shown, database_url: str) -> None:
    page = shown("howto/signals-and-approvals")
    await known(database_url, page.purchase)
    run = await page.purchase.start("a mill")
    assert await run.signal(page.approved, page.Approval(ok=True, by="ada"))
    assert not await run.signal(page.approved, page.Approval(ok=False, by="bob")), "the first value is kept"
    await drain(page.purchase, database=database_url)
    assert await run.result() == "a mill: bought, says ada"
    assert not await run.signal(page.approved, page.Approval(ok=True, by="eve")), "it has ended"


async def test_a_cancelled_run_is_not_undone(shown: Shown, database_url: str, db: Db) -> None:
    page = shown("tutorial/first-flow", "checkout")
    await known(database_url, page.checkout)
    run = await page.checkout.start(page.Order(1, 2000.0))
    await drain(page.checkout, database=database_url, delays="leave")
    assert await run.cancel("ordered twice")
    await drain(page.checkout, database=database_url)
    assert state(db, run.run_id)[0] == "cancelled"
    assert "undo:refund" not in steps(db, run.run_id)


async def test_what_could_not_be_undone_is_told(
    shown: Shown, database_url: str, db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = shown("howto/compensation")
    await known(database_url, page.travel)

    async def cancel_flight(booking: str) -> None:
        raise Dead(f"nothing is known of {booking}")

    monkeypatch.setattr(page, "cancel_flight", cancel_flight)
    run = await page.travel.start(page.Trip("Oslo", 40))
    await drain(page.travel, database=database_url)
    ended, culprit, reason = state(db, run.run_id)
    assert (ended, culprit) == ("failed", "book_hotel")
    assert reason is not None
    assert reason.endswith("undo:cancel_flight failed too: nothing is known of flight-Oslo")
