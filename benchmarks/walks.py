"""How many of the product's own Python files one message, one request and one send pass through.

``python -m benchmarks.walks [message] [request] [send]``, on an embedded server of its own. A profiler on the
main thread notes each file under ``src/postmill`` in which a function begins or goes on. The first times are
a warm-up: connections open, statements are prepared, an instance starts. Then a file counts when it ran in
every one of five more, so that a timer which happens to fire adds nothing. Prints the files in the order in
which they first ran, and how many they are.

What is counted for each:

- ``message``: an idle worker is woken by a message, runs it, completes it, and is idle again. The sender is
  another thread, which is not counted; neither is the maintenance thread.
- ``request``: one HTTP request to a function on a connection that is kept alive, in the host's process. The
  client is another thread, and the function's isolate is another process; neither is counted.
- ``send``: ``AsyncClient.send`` with a database address.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import postmill
from postmill import app
from postmill.bench.workers import Tally, nothing, running
from postmill.client import AsyncClient, Client
from postmill.db.tools.connect import connect
from postmill.db.tools.migrate import migrate
from postmill.embedded import open_server
from postmill.model.config.address import Address, parse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import FrameType

ROOT = Path(postmill.__file__).parent
MEASURING = ROOT / "bench"
"""The handler and the tally of this measurement are no part of a walk."""
WARM_UP = 3
"""One opens the connection, one prepares the statements, one for good measure."""
SAMPLES = 5
"""A timer of the product fires every half second at most, and a sample takes far less than that."""
IDLE_AGAIN_S = 0.05
"""A worker that has written down its message is idle long before; its poll comes no sooner than 2 s."""
FUNCTION = "async def handler(request):\n    return {'hello': 'world'}\n"
SETTINGS = "[runtime]\nport = 0\n[functions.hello]\nverify_jwt = false\n"
QUEUE = "walks"


class Walk:
    """The product's files that have run on this thread since the walk was started."""

    def __init__(self) -> None:
        self.files: list[str] = []
        """In the order in which they first ran."""
        self._seen: set[str] = set()

    def __enter__(self) -> Walk:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name not in self._seen:
            self._seen.add(name)
            path = Path(name)
            if path.is_relative_to(ROOT) and not path.is_relative_to(MEASURING):
                self.files.append(path.relative_to(ROOT).as_posix())


async def steady(once: Callable[[], Awaitable[object]]) -> list[str]:
    """The files that run each time, once ``once`` has been done a few times."""
    for _ in range(WARM_UP):
        await once()
    walks = []
    for _ in range(SAMPLES):
        with Walk() as walk:
            await once()
        walks.append(walk.files)
    return [name for name in walks[0] if all(name in files for files in walks)]


async def message(server_url: str) -> list[str]:
    """A message's way through an idle worker."""
    sender = Client(server_url)
    async with running(Address(server_url), nothing(QUEUE)) as engine:
        tally = Tally(engine)

        async def once() -> None:
            done = tally.completed + 1
            await asyncio.to_thread(sender.send, QUEUE, {"n": done})
            await tally.reach(done)
            await asyncio.sleep(IDLE_AGAIN_S)

        try:
            return await steady(once)
        finally:
            await asyncio.to_thread(sender.close)


async def send(server_url: str) -> list[str]:
    """A send's way to the server."""
    client = AsyncClient(server_url)
    try:
        await client.create_queue(QUEUE)
        return await steady(partial(client.send, QUEUE, {"n": 1}))
    finally:
        await client.close()


def request(project: Path) -> list[str]:
    """A request's way through the function host, which runs on this thread and ends itself."""
    (project / "functions").mkdir()
    (project / "functions" / "hello.py").write_text(FUNCTION, encoding="utf-8")
    (project / "postmill.toml").write_text(SETTINGS, encoding="utf-8")
    settings = app.load_settings({}, project=project)
    found: list[str] = []
    tasks = []

    def listening(url: str, _: object) -> None:
        tasks.append(asyncio.get_running_loop().create_task(drive(url)))

    async def drive(url: str) -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        try:
            found.extend(await steady(partial(asyncio.to_thread, _get, connection)))
        finally:
            connection.close()
            signal.raise_signal(signal.SIGTERM)

    how = app.Serving(
        folder=project / "functions",
        env_file=None,
        env_file_may_come=False,
        reload=False,
        start_all=False,
        on_listening=listening,
        on_stop=lambda _: None,
    )
    app.serve_functions(settings, None, how)
    tasks[0].result()
    return found


def _get(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/functions/v1/hello")
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != http.client.OK:
        raise RuntimeError(f"{answer.status}: {text!r}")


def walks(names: list[str]) -> dict[str, Any]:
    """Each asked-for walk: how many files, and which."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        if "request" in names:
            project = Path(folder) / "project"
            project.mkdir()
            found["request"] = request(project)
        if {"message", "send"} & set(names):
            with open_server(Path(folder) / "pg") as server:
                with connect(parse(server.url)) as connection:
                    migrate(connection)
                for name, walk in (("message", message), ("send", send)):
                    if name in names:
                        found[name] = asyncio.run(walk(server.url))
    return {name: {"files": len(found[name]), "in_order": found[name]} for name in names}


def main() -> None:
    """Walk once, and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    every = ["message", "request", "send"]
    parser.add_argument("walk", nargs="*", metavar="WALK", help="message, request or send (default: all)")
    asked = parser.parse_args().walk or every
    if unknown := set(asked) - set(every):
        parser.error(f"no such walk: {', '.join(sorted(unknown))}")
    print(json.dumps(walks(asked), indent=1))


if __name__ == "__main__":
    main()
