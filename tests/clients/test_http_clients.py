"""curl and httpx, as people have them: uploads, streams, what they make of an error and of a cut."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.clients.installed import found

if TYPE_CHECKING:
    from tests.serving import Serving


def curl(serving: Serving, function: str, *arguments: str, stdin: bytes = b"") -> tuple[int, str]:
    """The exit code and what was printed."""
    program = found(Path(shutil.which("curl") or "/nonexistent"), "curl")
    key = ("-H", f"apikey: {serving.keys.publishable}")
    command = [str(program), "-sS", "--max-time", "60", *key, *arguments, f"{serving.functions}/{function}"]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=100, check=False)
    return done.returncode, done.stdout.decode()


def test_curl_posts_and_reads(serving: Serving) -> None:
    code, text = curl(serving, "echo", "-d", "a=1")
    seen = json.loads(text)
    assert (code, seen["method"], seen["body"]) == (0, "POST", "a=1")


def test_curl_waits_for_100_continue_with_a_larger_body(serving: Serving) -> None:
    code, text = curl(
        serving, "echo", "-H", "Expect: 100-continue", "--data-binary", "@-", stdin=b"x" * 400_000
    )
    assert (code, len(json.loads(text)["body"])) == (0, 400_000)


@pytest.mark.parametrize("how", [(), ("-H", "Expect:"), ("-H", "Transfer-Encoding: chunked")])
def test_curl_reads_why_its_upload_was_refused(serving: Serving, how: tuple[str, ...]) -> None:
    code, text = curl(serving, "echo", *how, "--data-binary", "@-", stdin=b"x" * 3_000_000)
    assert json.loads(text)["code"] == "PAYLOAD_TOO_LARGE"
    assert code in {0, 55, 56}  # it may notice the end of the connection while it still sends


def test_curl_fails_on_a_status_when_asked_to(serving: Serving) -> None:
    assert curl(serving, "raising", "--fail")[0] == 22


def test_httpx_streams_both_ways(serving: Serving) -> None:
    def pieces() -> object:
        yield from (b"one ", b"two")

    response = serving.client.post("echo", content=pieces())  # type: ignore[arg-type]
    assert response.json()["body"] == "one two"
    with serving.client.stream("GET", "content?as=stream") as stream:
        assert "".join(stream.iter_text()) == "data: 0\n\ndata: 1\n\ndata: 2\n\n"


def test_httpx_reuses_its_connection_after_an_error(serving: Serving) -> None:
    with httpx.Client(
        base_url=f"{serving.functions}/",
        headers={"apikey": serving.keys.anon},
        limits=httpx.Limits(max_connections=1),
        timeout=60,
    ) as client:
        assert client.post("raising").status_code == 500
        assert client.post("nobody", content=b"x" * 1000).status_code == 404
        assert client.get("echo").status_code == 200
