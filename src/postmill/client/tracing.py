"""A span for each send, and its trace context in the headers, so that the handler's span can follow.

Does nothing, and imports nothing, unless the application has set an OpenTelemetry tracer provider. Names are
those of the semantic conventions for messaging.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

from postmill.client.addressing import merged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Span, Tracer, TracerProvider

SYSTEM = "postmill"
SentId = TypeVar("SentId", bound=int)


def find_tracer() -> Tracer | None:
    """Postmill's tracer, if the application has set a provider by now."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    provider = trace.get_tracer_provider()
    return None if isinstance(provider, trace.ProxyTracerProvider) else _tracer_of(provider)


@lru_cache(maxsize=4)
def _tracer_of(provider: TracerProvider) -> Tracer:
    return provider.get_tracer("postmill", version("postmill"))


class Send:
    """One send under way: the headers to send, and the span that records its result."""

    __slots__ = ("_span", "headers")

    def __init__(self, headers: Any, span: Span | None) -> None:
        self.headers = headers
        self._span = span

    def sent(self, ids: list[SentId], *, batch: bool = False) -> list[SentId]:
        """The database has the messages under these ids, which are returned."""
        if self._span is None:
            return ids
        if batch:
            self._span.set_attribute("messaging.batch.message_count", len(ids))
        else:
            self._span.set_attribute("messaging.message.id", str(ids[0]))
        return ids


@contextmanager
def tracing(queue: str, headers: Any) -> Iterator[Send]:
    """The span around a send. Headers of the caller's own win over those of the trace; those of many messages
    may be a function of the payload.
    """
    tracer = find_tracer()
    if tracer is None:
        yield Send(headers, None)
        return
    from opentelemetry.propagate import inject  # noqa: PLC0415 - an extra
    from opentelemetry.trace import SpanKind  # noqa: PLC0415

    attributes = attributes_of("send", queue)
    with tracer.start_as_current_span(f"send {queue}", kind=SpanKind.PRODUCER, attributes=attributes) as span:
        carrier: dict[str, object] = {}
        inject(carrier)
        send = Send(merged(carrier, headers), span)
        try:
            yield send
        except Exception as error:
            span.set_attribute("error.type", type(error).__qualname__)
            raise


def attributes_of(operation: str, queue: str, **more: Any) -> dict[str, Any]:
    """The attributes that every span about messages has."""
    return {
        "messaging.system": SYSTEM,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": queue,
        **more,
    }
