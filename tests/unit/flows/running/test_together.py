"""Requests that go in one statement, and those that are too large together."""

from __future__ import annotations

import asyncio

import pytest

from postmill.db.hot import statement_size
from postmill.flows.running.together import Together


@pytest.mark.parametrize(("bytes_", "sent"), [(40, [4]), (20, [2, 2]), (5, [1, 1, 1, 1])])
async def test_large_requests_go_in_several_statements(
    monkeypatch: pytest.MonkeyPatch, bytes_: int, sent: list[int]
) -> None:
    """Outputs of steps that end at once, of megabytes each, were one statement."""
    monkeypatch.setattr(statement_size, "BATCH_BYTES", bytes_)
    batches: list[int] = []

    async def send(requests: list[str]) -> list[int]:
        batches.append(len(requests))
        return [int(request) for request in requests]

    together: Together[str, int] = Together(send, lambda request: (request, None))
    numbers = range(10**9, 10**9 + 4)
    assert await asyncio.gather(*(together.ask(str(number)) for number in numbers)) == list(numbers)
    assert batches == sent
