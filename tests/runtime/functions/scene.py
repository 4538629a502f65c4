"""A host in a test: functions from files, requests without a network, everything that was said, and a look at
what was left behind.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postmill.host.host import Host
from postmill.model.functions.limits import EndReason, Limits
from postmill.model.functions.settings import FunctionSettings, RuntimeSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from postmill.model.config.address import Address
    from postmill.model.events import Event

GIVE_UP_S = 60.0
"""Ends a test that would hang; no test measures anything by it."""
PATHOLOGICAL = Path(__file__).parent / "pathological"
_PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Answer:
    """What a caller saw."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    pieces: int = 0


class Scene:
    """A running host."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.said: list[tuple[Event, dict[str, Any]]] = []
        self._news = asyncio.Event()
        host.events.listeners.append(self._heard)

    async def call(
        self,
        slug: str,
        *,
        method: str = "GET",
        path: str = "",
        body: bytes = b"",
        query: bytes = b"",
        receive: Callable[[], Any] | None = None,
        send: Callable[[Any], Any] | None = None,
    ) -> Answer:
        """One request; raises what the host raises."""
        answer = Answer()
        await self.host.handle(
            slug,
            scope(slug, method, path, query, has_body=bool(body) or receive is not None),
            receive or _one_body(body),
            send or _collecting(answer),
        )
        return answer

    def events(self, event: Event, function: str | None = None) -> list[dict[str, Any]]:
        """What was said under a name."""
        return [
            fields
            for said, fields in self.said
            if said == event and function in (None, fields.get("function"))
        ]

    async def until(self, event: Event, function: str | None = None, count: int = 1) -> list[dict[str, Any]]:
        """Wait until something was said so often."""
        async with asyncio.timeout(GIVE_UP_S):
            while len(found := self.events(event, function)) < count:
                self._news.clear()
                await self._news.wait()
        return found

    def _heard(self, event: Event, fields: dict[str, Any]) -> None:
        self.said.append((event, fields))
        self._news.set()


def scope(slug: str, method: str, path: str, query: bytes, *, has_body: bool) -> dict[str, Any]:
    """What an ASGI server says of a request."""
    root = f"/functions/v1/{slug}"
    headers = [(b"host", b"localhost")]
    if has_body:
        headers.append((b"transfer-encoding", b"chunked"))
    return {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": root + path,
        "raw_path": (root + path).encode(),
        "root_path": root,
        "query_string": query,
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 54321),
    }


@asynccontextmanager
async def hosting(
    folder: Path,
    *names: str,
    runtime: RuntimeSettings | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    limits: Limits | None = None,
    address: Address | None = None,
    environment: Mapping[str, str] | Callable[[], Mapping[str, str]] | None = None,
    **options: Any,
) -> AsyncIterator[Scene]:
    """A host of the pathological functions ``names`` and a healthy one; nothing of it may remain.

    ``settings`` by slug, with underscores; ``limits`` are those of every function that says nothing else.
    """
    copy_functions(folder, PATHOLOGICAL, *names, "healthy")
    runtime = runtime or RuntimeSettings(limits=limits or Limits())
    configured = {
        slug: FunctionSettings(slug=slug, **{"limits": runtime.limits, **given})
        for slug, given in (settings or {}).items()
    }
    reload = options.pop("reload", False)
    before = traces()
    with adopting_orphans():
        host = Host(folder, runtime, configured, environment or {}, address, **options)
        scene = Scene(host)
        try:
            await host.start(reload=reload)
            yield scene
        finally:
            async with asyncio.timeout(GIVE_UP_S):
                await host.stop()
        await nothing_remains(before)


@dataclass(frozen=True)
class Traces:
    """What a host could leave behind."""

    children: frozenset[int]
    descriptors: frozenset[str]
    """What they are open on: a file's path, or the number of a socket or pipe."""


def copy_functions(folder: Path, source: Path, *names: str) -> None:
    """Put functions where a host finds them."""
    folder.mkdir(exist_ok=True)
    for name in names:
        shutil.copy(source / f"{name}.py", folder)


def traces() -> Traces:
    """Children of this process, dead ones too, and its open descriptors."""
    opened = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that lists this folder
            opened.add(f"{descriptor.name} {descriptor.readlink()}")
    return Traces(frozenset(children()), frozenset(opened))


async def nothing_remains(before: Traces) -> None:
    """No process, zombie, socket or pipe more than before. A loop closes descriptors in its next turns."""
    with suppress(TimeoutError):
        async with asyncio.timeout(GIVE_UP_S):
            while len(traces().descriptors) > len(before.descriptors):  # noqa: ASYNC110 - nobody says it
                await asyncio.sleep(0.01)
    after = traces()
    assert after.children <= before.children
    assert len(after.descriptors) <= len(before.descriptors), sorted(after.descriptors - before.descriptors)


def children(parent: int | None = None) -> list[int]:
    """Living and dead children of a process, of this one by default."""
    wanted = str(parent or os.getpid())
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
                if stat.rpartition(")")[2].split()[1] == wanted:
                    found.append(int(entry.name))
    return found


def adopting_orphans() -> Any:
    """Whoever loses its parent becomes a child of this process, where it can be seen."""
    return _Adoption()


class _Adoption:
    def __enter__(self) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def __exit__(self, *_: object) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def is_alive(pid: int) -> bool:
    """Whether there is such a process, dead and not yet taken away included."""
    return Path(f"/proc/{pid}").exists()


def _one_body(body: bytes) -> Callable[[], Any]:
    left = [body]

    async def receive() -> dict[str, Any]:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        await asyncio.Event().wait()
        raise AssertionError

    return receive


def _collecting(answer: Answer) -> Callable[[Any], Any]:
    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status, answer.headers = message["status"], message["headers"]
        else:
            answer.body += message["body"]
            answer.pieces += 1

    return send


__all__ = ["Answer", "EndReason", "Limits", "Scene", "children", "hosting", "is_alive", "scope", "traces"]
