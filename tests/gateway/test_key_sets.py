"""Tokens of somebody who publishes the keys: a server of theirs is asked, and may be away later."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from postmill.gateway import trust as trusts
from postmill.gateway.application import Gateway
from postmill.gateway.platform_errors import rendered
from postmill.gateway.trust import Trust
from postmill.model.errors import InvalidOption
from postmill.model.events import Event
from postmill.web.server import WebServer
from tests.gateway.conftest import KEYS, MOST_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.gateway.stand_in import StandInHost


class Signer:
    """One key: what is published of it, and tokens it has signed."""

    def __init__(self, algorithm: str, kid: str) -> None:
        self._algorithm, self._kid = algorithm, kid
        if algorithm == "RS256":
            self._key: Any = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            kind: Any = jwt.algorithms.RSAAlgorithm
        else:
            self._key = ec.generate_private_key(ec.SECP256R1())
            kind = jwt.algorithms.ECAlgorithm
        self.published = {**kind.to_jwk(self._key.public_key(), as_dict=True), "kid": kid}

    def token(self) -> str:
        """A good one."""
        claims = {"role": "authenticated", "exp": time.time() + 600}
        return jwt.encode(claims, self._key, self._algorithm, headers={"kid": self._kid})


class Publisher:
    """An HTTP server that says ``answer``."""

    def __init__(self) -> None:
        self.answer = b""
        self.asked = 0
        self.open = threading.Event()
        """Cleared, it keeps who asks waiting."""
        self.open.set()
        publisher = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                publisher.asked += 1
                publisher.open.wait(60)
                self.wfile.write(publisher.answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/jwks.json"

    def publish(self, *signers: Signer) -> None:
        """Say a good set from now on."""
        body = json.dumps({"keys": [signer.published for signer in signers]}).encode()
        self.answer = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + body

    def leave(self) -> None:
        """Nobody listens there any more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    """Somebody who publishes keys."""
    running = Publisher()
    yield running
    running.leave()


@pytest.fixture(scope="module")
def signers() -> dict[str, Signer]:
    """Keys by name."""
    return {"rsa": Signer("RS256", "1"), "ec": Signer("ES256", "2"), "next": Signer("ES256", "3")}


@asynccontextmanager
async def trusting(
    host: StandInHost, source: str, *, refresh_s: float = 0.02
) -> AsyncIterator[httpx.AsyncClient]:
    """A caller of a gateway that reads a key set all the time, or as often as is said."""
    trust = Trust(KEYS, source, Path(), refresh_s=refresh_s)
    await trust.start()
    server = WebServer("127.0.0.1", 0, max_message_bytes=MOST_BYTES, render=rendered)
    try:
        url = await server.start(Gateway(host, trust, max_body_bytes=MOST_BYTES))
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            yield client
    finally:
        await server.stop(0.1)
        await trust.stop()


async def status(client: httpx.AsyncClient, signer: Signer) -> int:
    """What a caller with a new token of this signer is answered."""
    headers = {"authorization": f"Bearer {signer.token()}"}
    return (await client.get("/functions/v1/hello", headers=headers)).status_code


async def test_keys_come_and_go_as_they_are_published(
    host: StandInHost, publisher: Publisher, signers: dict[str, Signer]
) -> None:
    publisher.publish(signers["rsa"], signers["ec"])
    async with trusting(host, publisher.url) as client:
        assert [await status(client, signers[name]) for name in ("rsa", "ec", "next")] == [200, 200, 401]
        publisher.publish(signers["ec"], signers["next"])
        while await status(client, signers["next"]) != 200:
            pass
        assert [await status(client, signers[name]) for name in ("rsa", "ec", "next")] == [401, 200, 200]


async def test_an_unknown_key_has_the_set_read_once_for_all_who_name_one(
    host: StandInHost, publisher: Publisher, signers: dict[str, Signer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trusts, "WAIT_S", 100)
    monkeypatch.setattr(trusts, "UNKNOWN_KEY_S", 1000)
    publisher.publish(signers["rsa"])
    async with trusting(host, publisher.url, refresh_s=1000) as client:
        publisher.publish(signers["rsa"], signers["ec"])
        assert set(await asyncio.gather(*(status(client, signers["ec"]) for _ in range(5)))) == {200}
        publisher.publish(signers["rsa"], signers["ec"], signers["next"])
        assert set(await asyncio.gather(*(status(client, signers["next"]) for _ in range(5)))) == {401}
        assert publisher.asked == 2  # at the start, and for the first


async def test_nobody_waits_for_a_key_set_that_does_not_come(
    host: StandInHost, publisher: Publisher, signers: dict[str, Signer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trusts, "WAIT_S", 0.01)
    publisher.publish(signers["rsa"])
    async with trusting(host, publisher.url, refresh_s=1000) as client:
        publisher.publish(signers["rsa"], signers["ec"])
        publisher.open.clear()
        assert [await status(client, signers[name]) for name in ("ec", "rsa")] == [401, 200]
        publisher.open.set()
        while await status(client, signers["ec"]) != 200:
            pass


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.0 500 Trouble\r\n\r\n",
        b'HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\n{"keys": [',
        b'HTTP/1.0 200 OK\r\n\r\n{"keys": []}',
        b"HTTP/1.0 200 OK\r\n\r\n" + b" " * (1024 * 1024 + 1),
        b"HTTP/1.0 302 Found\r\nLocation: http://example.com/jwks.json\r\n\r\n",
        b"HTTP/1.0 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n",
    ],
)
async def test_known_keys_stay_good_while_the_set_can_not_be_had(
    host: StandInHost,
    publisher: Publisher,
    signers: dict[str, Signer],
    caplog: pytest.LogCaptureFixture,
    answer: bytes | None,
) -> None:
    """None: nobody listens. Every failure is said, and the next good set is taken."""
    publisher.publish(signers["rsa"])
    async with trusting(host, publisher.url) as client:
        with caplog.at_level(logging.WARNING, "postmill"):
            publisher.leave() if answer is None else setattr(publisher, "answer", answer)
            for _ in range(2):
                caplog.clear()
                while Event.KEYS_STALE not in caplog.messages:
                    assert await status(client, signers["rsa"]) == 200
        if answer is not None:
            publisher.publish(signers["next"])
            while await status(client, signers["next"]) != 200:
                pass


async def test_a_set_that_can_not_be_had_at_the_start_is_told(publisher: Publisher) -> None:
    publisher.answer = b"HTTP/1.0 404 Not Found\r\n\r\n"
    with pytest.raises(InvalidOption, match="can't be used"):
        await Trust(KEYS, publisher.url, Path()).start()


async def test_a_reader_that_something_has_cancelled_goes_on(
    publisher: Publisher, signers: dict[str, Signer]
) -> None:
    """It was a bare task: its end was seen by nothing, and new keys were never read."""
    publisher.publish(signers["rsa"])
    trust = Trust(KEYS, publisher.url, Path(), refresh_s=0.02)
    await trust.start()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    asked = publisher.asked
    async with asyncio.timeout(60):
        while publisher.asked < asked + 3:  # noqa: ASYNC110 - another thread counts
            await asyncio.sleep(0.01)
    await trust.stop()


async def test_readiness_sees_a_refresher_that_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what keeps the keys up to date: nothing told that it had ended."""
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [Signer("ES256", "one").published]}))
    trust = Trust(KEYS, "keys.json", tmp_path, refresh_s=0.01)
    given_up: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    trust.on_giving_up.append(given_up.set_result)
    await trust.start()
    assert trust.trouble is None

    async def broken() -> None:
        raise GeneratorExit("odd")

    monkeypatch.setattr(trust, "refresh", broken)
    async with asyncio.timeout(30):
        await given_up
    assert "the keyrefresher has failed for good" in str(trust.trouble)
    await trust.stop()
