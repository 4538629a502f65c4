"""The probe answers whatever its routes do."""

from __future__ import annotations

import asyncio
from typing import NoReturn
from urllib.parse import urlsplit

import uvloop

from postmill.metrics.probe import METHODS, Answer, Ask, Probe
from postmill.web.routes import Route


async def broken() -> Answer:
    raise RuntimeError("no numbers")


async def lives() -> Answer:
    return Answer(200, b"live\n")


async def asked(url: str, path: str) -> str:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    return answer


async def test_a_route_that_raises_is_answered_and_spares_the_others() -> None:
    """The metrics break: the answer says so, and the process is still alive to whoever asks."""
    live: Route[Ask] = Route(METHODS, "/live", lives)
    probe = Probe("127.0.0.1", 0, [Route(METHODS, "/metrics", broken), live])
    url = await probe.start()
    assert (await asked(url, "/metrics")).endswith("RuntimeError: no numbers\n")
    assert (await asked(url, "/live")).startswith("HTTP/1.1 200 ")
    await probe.stop()


def test_a_handlers_task_factory_does_not_silence_the_probe() -> None:
    """A handler installs a task factory that raises; the orchestrator still gets its answer. On uvloop, which
    workers run on: asyncio's own loop accepts connections in tasks.
    """

    def refusing(*_: object, **__: object) -> NoReturn:
        raise RuntimeError("no tasks here")

    async def told() -> str:
        probe = Probe("127.0.0.1", 0, [Route(METHODS, "/live", lives)])
        url = await probe.start()
        loop = asyncio.get_running_loop()
        loop.set_task_factory(refusing)
        try:
            return await asked(url, "/live")
        finally:
            loop.set_task_factory(None)
            await probe.stop()
            await probe.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(told()).endswith("live\n")
