"""A span for each run of a handler, under the span that sent its message.

Wraps the handler, so that a worker without a tracer provider pays nothing. Decides nothing about the message.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from postmill.client.tracing import attributes_of, find_tracer
from postmill.engine.wrapped_handler import WrappedHandler
from postmill.model.errors import InvalidPayload
from postmill.model.queue.outcome import Snooze

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

    from postmill.engine.handler import Handler
    from postmill.engine.run.attempt import Attempt
    from postmill.model.queue.message import Message


def traced(handler: Handler) -> Handler:
    """``handler`` with spans if the application has set a tracer provider by now, else ``handler`` itself."""
    tracer = find_tracer()
    return handler if tracer is None else TracedHandler(handler, tracer)


class TracedHandler(WrappedHandler):
    """A handler whose runs are spans."""

    def __init__(self, handler: Handler, tracer: Tracer) -> None:
        super().__init__(handler)
        self._tracer = tracer

    def bind(self, message: Message, attempt: Attempt) -> Awaitable[Any]:
        """See :class:`postmill.engine.handler.Handler`."""
        return self._run(message, attempt)

    def bind_batch(self, messages: Sequence[Message], attempts: Sequence[Attempt]) -> Awaitable[Any]:
        """See :class:`postmill.engine.handler.Handler`."""
        return self._run_batch(messages, attempts)

    async def _run(self, message: Message, attempt: Attempt) -> Any:
        attributes = {"messaging.message.id": str(message.msg_id), "postmill.attempt": message.attempt}
        with self._span(message.queue, attributes, context=_context_of(message)):
            return await self._handler.bind(message, attempt)

    async def _run_batch(self, messages: Sequence[Message], attempts: Sequence[Attempt]) -> Any:
        from opentelemetry.trace import Link, get_current_span  # noqa: PLC0415 - an extra

        sent = (get_current_span(_context_of(message)).get_span_context() for message in messages)
        links = [Link(context) for context in sent if context.is_valid]
        attributes = {"messaging.batch.message_count": len(messages)}
        with self._span(messages[0].queue, attributes, links=links):
            return await self._handler.bind_batch(messages, attempts)

    @contextmanager
    def _span(self, queue: str, attributes: dict[str, Any], **origin: Any) -> Iterator[None]:
        from opentelemetry.trace import SpanKind  # noqa: PLC0415 - an extra

        with self._tracer.start_as_current_span(
            f"process {queue}",
            kind=SpanKind.CONSUMER,
            attributes=attributes_of("process", queue, **attributes, **{"postmill.worker": self.name}),
            record_exception=False,
            set_status_on_exception=False,
            **origin,
        ) as span:
            try:
                yield
            except BaseException as error:
                with suppress(BaseException):  # an error that can't be described is still the handler's own
                    _tell(span, error)
                raise


def _context_of(message: Message) -> Context:
    """The trace context that the message's headers carry; an empty one when they carry none."""
    from opentelemetry.context import Context  # noqa: PLC0415 - an extra
    from opentelemetry.propagate import extract  # noqa: PLC0415

    if not message.has_headers:
        return Context()
    try:
        headers = {name: value for name, value in message.headers.items() if isinstance(value, str)}
    except InvalidPayload:
        return Context()
    return extract(headers, context=Context())


def _tell(span: Span, error: BaseException) -> None:
    """Record what a handler raised. A snooze is no failure, and a cancellation is no error."""
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - an extra

    if isinstance(error, Snooze):
        return
    span.set_attribute("error.type", type(error).__qualname__)
    if not isinstance(error, asyncio.CancelledError):
        span.record_exception(error)
        span.set_status(Status(StatusCode.ERROR, str(error)))
