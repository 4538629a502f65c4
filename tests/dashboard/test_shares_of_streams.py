"""One viewer could hold every stream there is, and all others were refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.dashboard.live import streaming
from tests.dashboard.streams import Stream

if TYPE_CHECKING:
    import pytest

    from postmill.dashboard.application import Dashboard

ONE, OTHER = (
    {"authorization": f"Bearer {key}", "host": "127.0.0.1"} for key in ("readers-key", "operators-key")
)
QUERY = "topic=queues"


async def test_a_viewer_has_a_share_and_another_still_gets_in(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "MOST_OF_ONE", 2)
    held = [Stream(dashboard, QUERY, headers) for headers in (ONE, ONE, OTHER)]
    assert all([await each.news() for each in held])
    refused = Stream(dashboard, QUERY, ONE)
    assert await refused.news() is None
    assert refused.status == 503
    await held[0].leave()
    again = Stream(dashboard, QUERY, ONE)
    assert await again.news()
    for each in (*held[1:], again):
        await each.leave()
