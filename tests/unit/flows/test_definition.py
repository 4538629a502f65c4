"""What a flow's definition comes to, and what it refuses, naming both ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from postmill import Context, Flow, Partial, RemoteContext, Retry, Signal, each, not_, workflow
from postmill.model.errors import InvalidFlow, InvalidHandler, InvalidOption, InvalidPayload
from postmill.model.flow.shape import Chosen, Read
from postmill.model.queue.cluster_options import ClusterOptions
from postmill.model.queue.retry import ExponentialRetry, FixedRetry

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.nowhere import Unseen  # type: ignore[import-not-found]

    from postmill import Ctx


@dataclass
class Site:
    url: str
    urls: list[str]


def with_ctx(ctx: Context) -> None: ...


def with_task(task: RemoteContext) -> None: ...


@dataclass
class Page:
    html: str
    lang: str
    ok: bool


class Long(msgspec.Struct, rename="camel"):
    is_long: bool


def new() -> Any:
    """A flow with a step that gives a page, one that gives a list, and a map. As ``Any``: most of what
    follows is what a type checker finds too.
    """
    flow = Flow("site", input=Site)

    @flow.step
    async def fetch(url: str = flow.input.url) -> Page:
        return Page(url, "en", True)

    @flow.step
    def links(page: Page = fetch.out) -> list[str]:
        return [page.html]

    @flow.map(on_dead="collect")
    async def crawl(link: str = links.each) -> int:
        return len(link)

    return flow


def made(flow: Any, function: Callable[..., Any], **options: Any) -> Any:
    """One more step."""
    return flow.step(**options)(function)


def test_a_step_reads_what_its_parameters_have_as_defaults() -> None:
    flow = new()

    def report(
        ctx: Context,
        *,
        html: str = flow.steps["fetch"].out.html,
        found: Any = flow.steps["crawl"].partial,
        n: int = 3,
    ) -> None: ...

    step = made(flow, report, after=[flow.steps["links"]], when=flow.input.url == "a")
    assert step.shape.reads == {"html": Read("fetch", ("html",)), "found": Read("crawl", kind="partial")}
    assert step.shape.needs == ("fetch", "links", "crawl")
    assert step.shape.when == {"of": "input", "path": ["url"], "equals": "a"}
    assert (step.context_parameter, step.input_types) == ("ctx", {"html": str, "found": Any})
    assert [shape.name for shape in flow.shape.steps] == ["fetch", "links", "crawl", "report"]


def test_a_map_runs_over_one_list() -> None:
    flow = new()
    by_url = flow.map(lambda url=each(flow.input.urls), page=flow.steps["fetch"].out: url + page.html)
    assert by_url.shape.over == Read("input", ("urls",), "each")
    assert by_url.name == "<lambda>"
    assert flow.steps["crawl"].shape.over == Read("links", (), "each")
    assert flow.steps["crawl"].output_type == list[int]


def test_options_follow_the_step_then_the_flow_and_are_no_part_of_the_shape() -> None:
    flow: Any = Flow("site", input=Site, retry=Retry.fixed(1), timeout=9, max_concurrent=3)
    plain = made(flow, lambda: 1, name="plain")
    shape = flow.shape.as_json()
    own = made(
        flow, lambda: 1, name="own", retry=Retry.exponential(), timeout=2, delay=3, queue="q", priority=0
    )
    assert (plain.retry, plain.timeout_s, plain.chosen) == (FixedRetry(6, 1), 9, Chosen())
    assert (type(own.retry), own.timeout_s) == (ExponentialRetry, 2)
    assert own.chosen == Chosen(queue="q", delay_s=3, priority=0)
    assert flow.shape.as_json()["steps"][:1] == shape["steps"]
    assert shape["steps"][0].keys().isdisjoint({"retry", "timeout", "queue", "delay_s", "priority"})
    assert (flow.queue, flow.worker_options.max_concurrent) == ("site", 3)


def test_other_kinds() -> None:
    flow, approved = new(), Signal("approved", Page)
    assert flow.wait(approved).output_type is Page
    late = flow.wait(approved, timeout=60, name="late", when=not_(flow.steps["fetch"].out.ok))
    assert (late.shape.kind, late.shape.signal, late.chosen.timeout_s) == ("wait", "approved", 60)
    assert late.output_type == Page | None
    asked = flow.approval(Page, name="asked")
    assert (asked.shape.signal, asked.signal.name) == ("asked", "asked")
    assert flow.sleep(30).chosen.delay_s == 30
    rows = flow.sql("select $1, $2", flow.input.url, flow.steps["fetch"].out)
    assert rows.shape.reads == {"p1": Read("input", ("url",)), "p2": Read("fetch")}
    assert rows.context_parameter == "ctx"
    called = flow.call("summarize", flow.steps["fetch"].out, timeout=3)
    assert (called.name, called.shape.reads, called.timeout_s) == ("summarize", {"body": Read("fetch")}, 3)

    @workflow
    async def checkout(ctx: Ctx, page: Page) -> int:
        return ctx.run_id + len(page.html)

    child = flow.run(checkout, flow.steps["fetch"].out)
    assert (child.shape.kind, child.shape.reads, child.output_type) == ("run", {"page": Read("fetch")}, int)
    assert flow.run(flow, flow.input, name="again").shape.reads == {"input": Read("input")}


def test_a_renamed_field_is_read_as_json_has_it() -> None:
    flow: Any = Flow("site", input=Long)
    step = made(flow, lambda long=flow.input.is_long: long, name="step", when=flow.input.is_long)
    assert step.shape.reads["long"].path == ("isLong",)
    assert step.shape.when["path"] == ["isLong"]


def test_a_step_is_called_directly() -> None:
    flow = new()
    assert asyncio.run(flow.steps["fetch"]("a")) == Page("a", "en", True)
    assert flow.steps["links"](Page("a", "en", True)) == ["a"]
    for unfilled in (flow.steps["fetch"], lambda: flow.steps["links"](flow.steps["fetch"].out)):
        with pytest.raises(InvalidFlow, match=r"without a value for (url|page).*simulate"):
            unfilled()


def one(flow: Any, **options: Any) -> Any:
    """One more step that reads nothing."""
    return made(flow, lambda: 1, **options)


def other() -> Any:
    """Another flow."""
    return Flow("b", input=Site)


@pytest.mark.parametrize(
    ("told", "define"),
    [
        (
            r"two steps named 'fetch'\. The first is FunctionStep\('fetch'\);",
            lambda f, s: one(f, name="fetch"),
        ),
        ("'input' is not the name of a step", lambda f, s: one(f, name="input")),
        (
            "'step' reads one item of a list, as page",
            lambda f, s: made(f, lambda page=s["crawl"].each: 1, name="step"),
        ),
        ("'links'.*'fetch'", lambda f, s: made(other(), s["links"].function)),
        ("reads 'fetch', which is no earlier step", lambda f, s: made(other(), lambda p=s["fetch"].out: 1)),
        ("reads 'fetch', which is no earlier step", lambda f, s: one(other(), after=[s["fetch"]])),
        ("reads 'fetch', which is no earlier", lambda f, s: one(other(), when=s["fetch"].out.ok)),
        ("'fetch', which is no earlier step", lambda f, s: one(f, after=["fetch"])),
        ("Map 'm' has 0 parameters", lambda f, s: f.map(name="m")(lambda page=s["fetch"].out: 1)),
        (
            "Map 'm' has 2 parameters",
            lambda f, s: f.map(name="m")(lambda a=s["links"].each, b=s["crawl"].each: 1),
        ),
        (
            r"Map 'm' runs over fetch\.each, .* Page, no list",
            lambda f, s: f.map(name="m")(lambda a=s["fetch"].each: 1),
        ),
        (
            r"Map 'm' runs over input\.each\.url, .* str",
            lambda f, s: f.map(name="m")(lambda a=each(f.input.url): 1),
        ),
        ("has no field 'lnag'.*Did you mean lang", lambda f, s: made(f, lambda a=s["fetch"].out.lnag: 1)),
        (
            r"'<lambda>' reads fetch\.lnag: Page has no field",
            lambda f, s: one(f, when=s["fetch"].out.lnag == 1),
        ),
        (r"fetch\.lang, str, with 3", lambda f, s: one(f, when=s["fetch"].out.lang == 3)),
        (r"fetch\.lang, str, with True", lambda f, s: one(f, when=s["fetch"].out.lang)),
        ("'en' is no condition", lambda f, s: one(f, when="en")),
        ("'m' does not collect errors", lambda f, s: reads_partial_of_a_map_that_fails(f)),
        ("option 'max_concurrent' of a step", lambda f, s: one(f, max_concurrent=3)),
        ("option 'timout'.*Did you mean timeout", lambda f, s: one(f, timout=3)),
        ("'collect' is for maps", lambda f, s: one(f, on_dead="collect")),
        ("on_unmet='skp'.*Did you mean skip", lambda f, s: one(f, on_unmet="skp")),
        ("priority=10 is out of range", lambda f, s: one(f, priority=10)),
        ("delay=-1 is out of range", lambda f, s: one(f, delay=-1)),
        ("timeout=0.0 is out of range", lambda f, s: one(f, timeout=0)),
        ("compensate=3 can't be called", lambda f, s: one(f, compensate=3)),
        ("retry='often' is not a retry policy", lambda f, s: one(f, retry="often")),
        ("Nothing fills parameter 'page' of step", lambda f, s: made(f, lambda page: 1)),
        ("is a generator function", lambda f, s: made(f, generates)),
        ("'a' of step 'positional' can't be given by name", lambda f, s: made(f, positional(f))),
        ("'page' in 'unseen' can't be read", lambda f, s: made(f, unseen)),
        ("3 is no function", lambda f, s: f.step(3)),
        ("is no function", lambda f, s: f.step(Page)),
        (
            "executor='process', and is async",
            lambda f, s: made(f, s["fetch"].function, name="p", executor="process"),
        ),
        (
            "executor='process', and is given the context",
            lambda f, s: made(f, with_context, executor="process"),
        ),
        (
            "executor='ray', and its function stands at the top level of no module",
            lambda f, s: f.step(executor="ray")(lambda: 1),
        ),
        ("executor='ray', and 'ctx' is no RemoteContext", lambda f, s: f.step(executor="ray")(with_ctx)),
        ("executor='inline', and 'task' is no Context", lambda f, s: f.step(with_task)),
        (
            "resources is given, and executor='inline'",
            lambda f, s: f.step(resources={"num_gpus": 1})(with_ctx),
        ),
        ("runs 'site' on Site", lambda f, s: f.run(f, Site("a", []), name="again")),
        (
            r"takes input: Site, and fetch\.out gives Page",
            lambda f, s: f.run(f, s["fetch"].out, name="again"),
        ),
        ("is given 'a', which is no marker", lambda f, s: f.sql("select $1", "a")),
        ("no option 'retry' of a wait", lambda f, s: f.wait(Signal("a", int), retry=Retry.none)),
        ("'' is not the name of a signal", lambda f, s: Signal("", int)),
    ],
)
def test_refuses(told: str, define: Callable[[Any, dict[str, Any]], Any]) -> None:
    flow = new()
    before = list(flow.steps)
    with pytest.raises((InvalidFlow, InvalidOption, InvalidHandler), match=f"(?s).*{told}"):
        define(flow, flow.steps)
    assert list(flow.steps)[:3] == before


def test_edges_between_annotations_that_differ_are_refused_naming_both_ends() -> None:
    flow = new()

    def size(page: int = flow.steps["fetch"].out) -> int:
        return page

    with pytest.raises(InvalidFlow, match=r"'size' takes page: int, and fetch\.out gives Page"):
        made(flow, size)

    def lengths(item: int = flow.steps["links"].each) -> int:
        return item

    with pytest.raises(InvalidFlow, match=r"'lengths' takes item: int, and links\.each gives str"):
        flow.map(lengths)

    def sums(found: Partial[str] = flow.steps["crawl"].partial) -> int:
        return len(found.results)

    with pytest.raises(InvalidFlow, match=r"'sums' takes found: .*Partial\[str\], and crawl\.partial gives"):
        made(flow, sums)


def test_a_step_that_may_be_skipped_is_read_by_maybe() -> None:
    flow = new()
    skipped = made(flow, lambda: "a", name="skipped", when=flow.steps["fetch"].out.ok)
    dead = made(flow, lambda: "a", name="dead", on_dead="skip")
    cascade = made(
        flow, lambda: "a", name="cascade", when=flow.steps["fetch"].out.ok, on_unmet="skip_cascade"
    )
    for source in (skipped, dead):
        with pytest.raises(InvalidFlow, match=rf"'reads' reads {source.name}\.out.*{source.name}\.maybe"):
            made(flow, lambda text=source.out: 1, name="reads")
    assert made(flow, lambda a=skipped.maybe, b=dead.maybe, c=cascade.out: 1, name="reads").shape.needs == (
        "skipped",
        "dead",
        "cascade",
    )

    def takes_none(text: str = skipped.maybe) -> None: ...

    typed = flow.step(name="typed", when=flow.steps["fetch"].out.ok)(gives_text)
    takes_none.__defaults__ = (typed.maybe,)
    with pytest.raises(
        InvalidFlow, match=r"'takes_none' takes text: str, and typed\.maybe gives str \| None"
    ):
        made(flow, takes_none)


def test_names_and_options_of_a_flow() -> None:
    made_flow: Any = Flow
    for name in ("Site", "", "a--b", 3):
        with pytest.raises(InvalidFlow, match="not a name that a flow can have"):
            made_flow(name, input=Site)
    for option in ("batch", "keep_results", "on_success"):
        with pytest.raises(InvalidFlow, match=f"has no option '{option}'"):
            made_flow("site", input=Site, **{option: 1})
    with pytest.raises(InvalidOption, match="Did you mean max_concurrent"):
        Flow("site", input=Site, max_concurent=1)


def test_the_input_is_checked_before_it_is_sent() -> None:
    flow = new()
    assert bytes(flow.encode(Site("a", ["b"]))) == b'{"url":"a","urls":["b"]}'
    with pytest.raises(InvalidPayload, match="urls"):
        flow.encode({"url": "a"})


def reads_partial_of_a_map_that_fails(flow: Any) -> Any:
    failing = flow.map(name="m")(lambda b=flow.steps["links"].each: 1)
    return made(flow, lambda a=failing.partial: 1)


def gives_text() -> str:
    return "a"


def with_context(ctx: Context) -> None: ...


def unseen(page: Unseen) -> None: ...


def generates() -> Any:
    yield 1


def positional(flow: Any) -> Any:
    def positional(a: Any = flow.input, /) -> None: ...

    return positional


def test_a_step_itself_is_no_edge() -> None:
    """Nothing said that ``.out`` was forgotten: the step got the object that stands for another."""
    flow: Any = Flow("site", input=Site)
    first = made(flow, lambda: 1, name="first")
    with pytest.raises(InvalidFlow, match=r"'x' of step 'second' has the step 'first' itself.*first\.out"):
        made(flow, lambda x=first: x, name="second")


@pytest.mark.parametrize("deadline", [0, -1, float("inf")])
def test_a_deadline_that_no_run_could_keep_is_refused(deadline: float) -> None:
    with pytest.raises(InvalidOption, match="deadline"):
        Flow("late", input=Site, deadline=deadline)

    async def late(ctx: Ctx) -> None:
        """Never called."""

    with pytest.raises(InvalidOption, match="deadline"):
        workflow(deadline=deadline)(late)


def test_a_step_says_how_it_runs_on_a_cluster_before_its_flow_does() -> None:
    flow = Flow(
        "trained", input=int, executor="ray", resources={"num_gpus": 1}, start_timeout=60, cancel_grace=1
    )
    flow.sleep(1)
    train = flow.step(name="train", resources={"num_gpus": 8})(with_task)
    here = flow.step(name="here", executor="inline")(with_ctx)
    assert train.on_cluster == ClusterOptions({"num_gpus": 8}, 60.0, 1.0)
    assert (here.on_cluster, flow.steps["sleep"].on_cluster) == (None, None)
