"""The probe answers whatever its routes do."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from postmill.metrics.probe import Answer, Probe


def broken() -> Answer:
    raise RuntimeError("no numbers")


async def asked(url: str, path: str) -> str:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    return answer


async def test_a_route_that_raises_is_answered_and_spares_the_others() -> None:
    """The metrics break: the answer says so, and the process is still alive to whoever asks."""
    probe = Probe("127.0.0.1", 0, {"/metrics": broken, "/live": lambda: Answer(200, b"live\n")})
    url = await probe.start()
    assert (await asked(url, "/metrics")).endswith("RuntimeError: no numbers\n")
    assert (await asked(url, "/live")).startswith("HTTP/1.1 200 ")
    await probe.stop()
