"""Runs and flows: lists, one run with its graph and steps, and what is done to them by forms."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboard.conftest import words
from tests.sql.flow_scene import fail, map_over, register, settle, start, step, take, take_one

if TYPE_CHECKING:
    import httpx
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

HOSTILE = """<script>"a"&'b'</script>/.%2e?x=1#y"""


@pytest.fixture
def shop(db: Db) -> int:
    """A run whose first step is done and whose second runs."""
    register(
        db,
        step("fetch"),
        map_over("pages", "fetch"),
        step("mail", "pages", when={"of": "fetch", "path": [], "has": ["x"]}),
    )
    run_id = start(db, {"site": "example.org"}, tags=["nightly"], key="one")
    settle(db, take_one(db), ["a", "b", "c"])
    settle(db, take(db)[0], 1)
    return run_id


async def test_a_page_without_runs_says_how_to_start_one(browser: httpx.AsyncClient) -> None:
    assert "No run has been started yet. postmill run start FLOW" in words(await browser.get("/runs"))


async def test_runs_are_found_by_flow_state_and_tag(browser: httpx.AsyncClient, shop: int) -> None:
    page = await browser.get("/runs?flow=shop&state=running&tag=nightly")
    assert page.status_code == 200
    assert f'href="/runs/{shop}"' in page.text
    assert "No run matches." in words(await browser.get("/runs?flow=shop&state=failed"))
    assert (await browser.get("/runs?state=nonsense")).status_code == 400


async def test_runs_are_paged_while_new_ones_come(browser: httpx.AsyncClient, db: Db) -> None:
    register(db, step("a"))
    runs = [start(db) for _ in range(5)]
    seen: list[int] = []
    href = "/runs?limit=2"
    while href:
        page = await browser.get(href)
        seen += [run for run in reversed(runs) if f'href="/runs/{run}"' in page.text]
        start(db)
        after = page.text.partition('class="button" rel="next" href="')[2].partition('"')[0]
        href = html.unescape(after)
    assert seen == runs[::-1]


async def test_all_that_match_are_steered_when_their_number_is_typed(
    browser: httpx.AsyncClient, db: Db
) -> None:
    register(db, step("a"))
    for _ in range(3):
        start(db)
    asked = await browser.get("/runs?flow=shop&steer=cancel")
    assert "3 runs would be cancelled." in words(asked)
    form = {"flow": "shop", "action": "cancel", "meant": "3", "reason": "by mistake"}
    refused = await browser.post("/runs/steer", data={**form, "typed": "2"})
    assert (refused.status_code, "Nothing was done." in words(refused)) == (422, True)
    done = await browser.post("/runs/steer", data={**form, "typed": "3"}, follow_redirects=True)
    assert "3 runs were cancelled." in words(done)
    states = db.execute("select distinct state, reason from postmill.runs").fetchall()
    assert states == [{"state": "cancelled", "reason": "cancelled by postgres: by mistake"}]


async def test_nothing_is_done_when_another_number_matches_by_now(browser: httpx.AsyncClient, db: Db) -> None:
    """Three were counted and typed, five more failed meanwhile, and eight were cancelled."""
    register(db, step("a"))
    for _ in range(8):
        start(db)
    form = {"flow": "shop", "action": "cancel", "meant": "3", "typed": "3"}
    refused = await browser.post("/runs/steer", data=form)
    assert (refused.status_code, "by now 8 runs match, and 3 were" in words(refused)) == (409, True)
    unsaid = await browser.post("/runs/steer", data={**form, "meant": "", "typed": ""})
    assert unsaid.status_code == 422
    assert db.execute("select distinct state from postmill.runs").fetchall() == [{"state": "running"}]


async def test_runs_that_are_blocked_stay_a_list_of_their_own(browser: httpx.AsyncClient, db: Db) -> None:
    """The next page of them had all runs, and so would have had what is done to all that match."""
    register(db, step("a"))
    runs = [start(db) for _ in range(4)]
    for run_id in runs[1:]:
        db.execute("select postmill.cancel_run($1)", (run_id,))
    for run_id in (start(db), start(db)):
        db.execute("select postmill.pause_run($1)", (run_id,))
    page = (await browser.get("/runs?flow=shop&blocked=true&limit=2")).text
    assert "All that match" not in page
    older = html.unescape(page.partition('rel="next" href="')[2].partition('"')[0])
    text = (await browser.get(older)).text
    assert f'href="/runs/{runs[0]}"' in text
    assert not any(f'href="/runs/{run_id}"' in text for run_id in runs[1:])


async def test_every_run_is_never_steered(browser: httpx.AsyncClient, shop: int) -> None:
    assert "would be" not in words(await browser.get("/runs?steer=cancel"))
    refused = await browser.post("/runs/steer", data={"action": "cancel", "typed": "1", "meant": "1"})
    assert refused.status_code == 422


async def test_a_run_is_shown_with_its_graph_and_steps(browser: httpx.AsyncClient, shop: int) -> None:
    page = await browser.get(f"/runs/{shop}")
    assert page.status_code == 200
    assert 'role="group" aria-label="Graph of 3 steps"' in page.text
    for part in ('class="box completed"', 'class="box started"', 'class="box waiting"', "<path"):
        assert part in page.text
    text = words(page)
    assert "started · 1 of 3" in text
    assert 'if fetch has ["x"]' in text.replace("&#34;", '"')
    assert "1 of 3 items" in text
    assert "example.org" in text


async def test_a_step_is_shown_with_its_input_and_output(browser: httpx.AsyncClient, shop: int) -> None:
    text = words(await browser.get(f"/runs/{shop}?step=fetch"))
    assert "Output [ &#34;a&#34;, &#34;b&#34;, &#34;c&#34; ]" in text
    assert "It has not given anything." in words(await browser.get(f"/runs/{shop}?step=pages"))
    assert (await browser.get(f"/runs/{shop}?step=nothing")).status_code == 404


async def test_steps_are_listed_by_state(browser: httpx.AsyncClient, shop: int) -> None:
    page = (await browser.get(f"/runs/{shop}?of=waiting")).text.partition('id="steps"')[2]
    assert 'data-key="step-mail"' in page
    assert 'data-key="step-fetch"' not in page
    assert "No step is failed." in words(await browser.get(f"/runs/{shop}?of=failed"))


async def test_a_run_is_paused_resumed_and_cancelled(browser: httpx.AsyncClient, shop: int) -> None:
    async def post(what: str, **fields: str) -> str:
        return words(
            await browser.post(f"/runs/{shop}/{what}", data=fields or {"": ""}, follow_redirects=True)
        )

    assert f"Run {shop} is paused" in await post("pause", reason="deploy")
    assert "paused by postgres: deploy" in words(await browser.get(f"/runs/{shop}"))
    assert f"Run {shop} goes on." in await post("resume")
    assert f"Run {shop} is cancelled." in await post("cancel", reason="enough")
    assert "Only a run that goes on can be paused." in await post("pause")


async def test_a_failed_run_is_retried(browser: httpx.AsyncClient, db: Db) -> None:
    register(db, step("a"))
    run_id = start(db)
    fail(db, take_one(db), "no route to <host>")
    page = await browser.get(f"/runs/{run_id}")
    assert "no route to &lt;host&gt;" in page.text
    assert "Open the step" in words(page)
    done = await browser.post(f"/runs/{run_id}/retry", data={"": ""}, follow_redirects=True)
    assert "goes on: what has succeeded stays." in words(done)


async def test_a_run_is_forked_with_another_input(browser: httpx.AsyncClient, db: Db, shop: int) -> None:
    form = {"step": "fetch", "input": '{"site": "example.net"}'}
    done = await browser.post(f"/runs/{shop}/fork", data=form)
    made = done.headers["location"]
    assert done.status_code == 303
    assert f"Run {made.rpartition('/')[2]} goes on from run {shop}." in words(await browser.get(made))
    row = db.execute("select input from postmill.runs where forked_from is not null").fetchone()
    assert row == {"input": {"site": "example.net"}}


async def test_what_is_no_json_is_refused_and_kept_in_the_form(browser: httpx.AsyncClient, shop: int) -> None:
    refused = await browser.post(f"/runs/{shop}/fork", data={"input": "{site: <b>}"})
    assert refused.status_code == 422
    assert "{site: &lt;b&gt;}</textarea>" in refused.text


async def test_a_run_waits_for_an_approval_and_gets_it(browser: httpx.AsyncClient, db: Db) -> None:
    register(db, step("ask", kind="wait", signal="go ahead"), step("then", "ask"))
    run_id = start(db)
    assert "It waits for go ahead in step ask" in words(await browser.get(f"/runs/{run_id}"))
    form = {"name": "go ahead", "value": "true"}
    done = await browser.post(f"/runs/{run_id}/signals", data=form, follow_redirects=True)
    assert "was sent go ahead." in words(done)
    again = await browser.post(f"/runs/{run_id}/signals", data=form)
    assert (again.status_code, "did not take the signal" in words(again)) == (409, True)


async def test_what_a_run_says_is_shown(browser: httpx.AsyncClient, db: Db, shop: int) -> None:
    db.execute(
        "insert into postmill.run_events (run_id, step, name, value) values ($1, 'fetch', 'found', '7')",
        [shop],
    )
    assert "fetch found 7" in words(await browser.get(f"/runs/{shop}"))


async def test_secrets_of_inputs_are_left_out(browser: httpx.AsyncClient, db: Db) -> None:
    register(db, step("a"))
    run_id = start(db, {"api_key": "hunter2"})
    page = await browser.get(f"/runs/{run_id}")
    assert "hunter2" not in page.text
    assert "[redacted]" in page.text
    assert "[redacted]" not in page.text.partition('name="input"')[2].partition("</textarea>")[0]
    fork = await browser.post(f"/runs/{run_id}/fork", data={"input": '{"api_key": "[redacted]"}'})
    assert fork.status_code == 422


async def test_secrets_of_a_run_are_revealed_with_those_of_the_step_that_is_shown(
    browser: httpx.AsyncClient, readers: httpx.AsyncClient, db: Db
) -> None:
    register(db, step("a"))
    run_id = start(db, {"api_key": "input-secret"})
    settle(db, take_one(db), {"token": "output-secret"})
    db.execute(
        "insert into postmill.run_events (run_id, name, value) values ($1, 'in', $2)",
        [run_id, json.dumps({"token": "event-secret"})],
    )
    secrets = ("input-secret", "output-secret", "event-secret")
    hidden = await browser.get(f"/runs/{run_id}?step=a")
    assert not [each for each in secrets if each in hidden.text]
    path = re.findall(r'action="([^"]*/reveal[^"]*)"', hidden.text)
    shown = await browser.post(html.unescape(path[0]), data={})
    assert [each for each in secrets if each in shown.text] == list(secrets)
    assert "data-live" not in shown.text  # the script would draw it again, without them
    assert "Reveal" not in words(shown)
    refused = await readers.post(f"/runs/{run_id}/reveal", data={})
    assert (refused.status_code, [each for each in secrets if each in refused.text]) == (403, [])
    assert "Reveal" not in words(await readers.get(f"/runs/{run_id}"))
    noted = db.execute("select action, target from postmill.audit").fetchall()
    assert noted == [{"action": "run.reveal", "target": {"run_id": str(run_id), "step": "a"}}]


async def test_hostile_names_are_shown_as_text_and_lead_to_their_step(
    browser: httpx.AsyncClient, db: Db
) -> None:
    register(db, step(HOSTILE), step("after", HOSTILE))
    run_id = start(db, {"note": HOSTILE})
    page = await browser.get(f"/runs/{run_id}")
    assert "<script>" not in page.text
    link = html.unescape(page.text.partition('data-key="box-1"')[0].rpartition('href="')[2].partition('"')[0])
    shown = await browser.get(f"/runs/{run_id}{link}")
    assert shown.status_code == 200
    assert f"<h2><bdi>{html.escape(HOSTILE, quote=False)}" in shown.text.replace("&#34;", '"').replace(
        "&#39;", "'"
    )


async def test_a_graph_of_many_steps_is_folded(browser: httpx.AsyncClient, db: Db) -> None:
    register(db, step("first"), *(step(f"s{number}", "first") for number in range(250)))
    run_id = start(db)
    page = await browser.get(f"/runs/{run_id}")
    assert "250 steps" in words(page)
    assert page.text.count('class="box ') == 2
    assert (await browser.get(f"/runs/{run_id}?whole=1")).text.count('class="box ') == 251


async def test_readers_look_and_do_nothing(readers: httpx.AsyncClient, shop: int) -> None:
    page = await readers.get(f"/runs/{shop}")
    assert page.status_code == 200
    assert 'method="post"' not in page.text.partition("<main")[2]
    for what in ("cancel", "pause", "resume", "retry", "fork", "signals"):
        assert (await readers.post(f"/runs/{shop}/{what}", data={"name": "x"})).status_code == 403


async def test_a_run_that_is_not_there(browser: httpx.AsyncClient) -> None:
    assert "There is no run 77." in words(await browser.get("/runs/77"))
    assert (await browser.get("/runs/abc")).status_code == 400


async def test_flows_are_listed_and_started(browser: httpx.AsyncClient, db: Db) -> None:
    assert "No program has registered a flow yet." in words(await browser.get("/flows"))
    register(db, step("fetch"), step("mail", "fetch", when={"of": "input", "path": ["on"], "equals": True}))
    listed = await browser.get("/flows")
    assert 'href="/flows/shop"' in listed.text
    page = await browser.get("/flows/shop?step=mail")
    assert page.text.count('class="box ') == 2
    assert "input.on == true" in words(page)
    form = {"input": '{"on": true}', "key": "k", "tags": "a, b"}
    done = await browser.post("/flows/shop/start", data=form, follow_redirects=True)
    assert "of shop has begun." in words(done)
    row = db.execute("select input, key, tags from postmill.runs").fetchone()
    assert row == {"input": {"on": True}, "key": "k", "tags": ["a", "b"]}
    assert (await browser.post("/flows/shop/start", data={"input": "{"})).status_code == 422
    assert (await browser.get("/flows/nope")).status_code == 404
