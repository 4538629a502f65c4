"""OpenTelemetry: one trace from the send to the handler, and nothing at all without a provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from postmill import AsyncClient, Client, Context, Retry, Snooze, worker
from postmill.model.errors import QueueNotFound
from postmill.model.events import Event
from tests.service.running import finished, running

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


class Spans:
    """The spans that have ended."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    """A provider as an application sets it; the real setter works once a process only."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    return Spans(exporter)


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    span_id: int = span.context.span_id
    return span_id


async def test_a_trace_leads_from_the_send_through_the_handler_to_what_it_sends(
    database_url: str, spans: Spans
) -> None:
    @worker(queue="first")
    async def relay(number: int, ctx: Context) -> None:
        ctx.send("second", number)
        async with ctx.db:
            trace.get_tracer_provider().get_tracer("mine").start_span("inside").end()

    @worker(queue="second")
    def end(number: int) -> None:
        trace.get_tracer_provider().get_tracer("mine").start_span("in a thread").end()

    async with running(database_url, relay, end) as run, AsyncClient(database_url) as client:
        msg_id = await client.send("first", 1, headers={"tenant": "acme"})
        await run.until(Event.MESSAGE_COMPLETED, count=2)
    sent, relayed = spans.one("send first"), spans.one("process first")
    assert (sent.kind, relayed.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert parent_of(sent) is None
    assert parent_of(relayed) == id_of(sent)
    assert parent_of(spans.one("inside")) == id_of(relayed)
    assert parent_of(spans.one("send second")) == id_of(relayed)
    assert parent_of(spans.one("process second")) == id_of(spans.one("send second"))
    assert parent_of(spans.one("in a thread")) == id_of(spans.one("process second"))
    for span, operation in ((sent, "send"), (relayed, "process")):
        attributes = dict(span.attributes or {})
        assert (
            attributes.items()
            >= {
                "messaging.system": "postmill",
                "messaging.operation.name": operation,
                "messaging.operation.type": operation,
                "messaging.destination.name": "first",
                "messaging.message.id": str(msg_id),
            }.items()
        )


async def test_every_attempt_is_a_span_and_only_failures_are_errors(database_url: str, spans: Spans) -> None:
    attempts: list[int] = []

    @worker(queue="tasks", retry=Retry.fixed(0, max_attempts=2))
    async def handle(_: int) -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise Snooze(0)
        if len(attempts) == 2:
            raise ValueError("not today")

    async with running(database_url, handle) as run:
        await run.send("1")
        await finished(run, 1)
    ran = spans.named("process tasks")
    assert [(span.status.status_code, dict(span.attributes or {}).get("error.type")) for span in ran] == [
        (StatusCode.UNSET, None),
        (StatusCode.ERROR, "ValueError"),
        (StatusCode.UNSET, None),
    ]
    assert [dict(span.attributes or {})["postmill.attempt"] for span in ran] == [1, 1, 2]
    assert parent_of(ran[0]) is None  # sent by a client that knows no traces


async def test_a_batch_is_one_span_linked_to_every_send(database_url: str, spans: Spans) -> None:
    @worker(queue="tasks", batch=10)
    async def handle(numbers: list[int]) -> None: ...

    async with running(database_url, handle) as run, AsyncClient(database_url) as client:
        await client.send("tasks", 1)
        await client.send_many("tasks", [2, 3])
        await finished(run, 3)
    assert {id_of(span) for span in spans.named("send tasks")} == {
        link.context.span_id for span in spans.named("process tasks") for link in span.links
    }
    counts = [
        dict(span.attributes or {}).get("messaging.batch.message_count") for span in spans.named("send tasks")
    ]
    assert counts == [None, 2]


def send_traced(url: str) -> dict[str, Any]:
    with Client(url) as client:
        client.create_queue("tasks")
        client.send("tasks", 1, headers={"tenant": "acme"})
    with psycopg.connect(url) as connection:
        row = connection.execute("select headers from pgmq.q_tasks").fetchone()
    assert row is not None
    headers: dict[str, Any] = row[0]
    return headers


def test_the_context_travels_as_a_w3c_header_beside_the_senders_own(database_url: str, spans: Spans) -> None:
    headers = send_traced(database_url)
    span = spans.one("send tasks")
    assert span.context is not None
    assert headers.keys() == {"tenant", "traceparent"}
    assert headers["traceparent"].startswith(f"00-{span.context.trace_id:032x}-{id_of(span):016x}-")


def test_without_a_provider_nothing_is_added(database_url: str) -> None:
    assert send_traced(database_url) == {"tenant": "acme"}


@pytest.mark.usefixtures("db")
def test_a_send_that_fails_is_an_error(database_url: str, spans: Spans) -> None:
    with Client(database_url) as client, pytest.raises(QueueNotFound):
        client.send("nowhere", 1)
    span = spans.one("send nowhere")
    assert (span.status.status_code, dict(span.attributes or {})["error.type"]) == (
        StatusCode.ERROR,
        "QueueNotFound",
    )


@pytest.mark.parametrize(
    "headers", ['{"traceparent": "nonsense"}', '{"traceparent": 7}', "[1]", '"text"', "null"]
)
async def test_strange_headers_start_a_trace_of_their_own(
    database_url: str, spans: Spans, headers: str
) -> None:
    @worker(queue="tasks")
    async def handle(_: int) -> None: ...

    async with running(database_url, handle) as run:
        await run.db.execute(
            "insert into pgmq.q_tasks (vt, message, headers) values (now(), '1', $1)", headers
        )
        assert (await finished(run, 1))["archive"] == 1
    assert parent_of(spans.one("process tasks")) is None
