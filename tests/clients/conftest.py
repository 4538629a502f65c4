"""Functions to be called by other people's clients, and those of the clients that take a function's name."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests import servers
from tests.clients.installed import CLIENTS, environment, found, node
from tests.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.embedded import Server

HERE = Path(__file__).parent
FUNCTIONS = {
    "content": """
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse

async def numbers():
    for number in range(3):
        yield f"data: {number}\\n\\n"

FORM = '--edge\\r\\nContent-Disposition: form-data; name="a"\\r\\n\\r\\n1\\r\\n--edge--\\r\\n'

async def handler(request):
    match request.query_params.get("as", "json"):
        case "json":
            return {"ok": True}
        case "charset":
            return Response('{"ok": true}', media_type="application/json; charset=utf-8")
        case "text":
            return PlainTextResponse("plain")
        case "html":
            return HTMLResponse("<p>")
        case "bytes":
            return Response(b"raw", media_type="application/octet-stream")
        case "stream":
            return StreamingResponse(numbers(), media_type="text/event-stream")
        case "form":
            return Response(FORM, media_type="multipart/form-data; boundary=edge")
        case "empty":
            return Response(status_code=204)
        case "refused":
            return JSONResponse({"error": "the function's own"}, status_code=418)
""",
    "echo": """
async def handler(request):
    body = await request.body()
    headers = {name: request.headers.get(name) for name in ("content-type", "x-region", "x-mine")}
    return {"method": request.method, "body": body.decode(), "authorized": "authorization" in request.headers,
            "query": request.url.query, **headers}
""",
    "form": "async def handler(request):\n    return dict(await request.form())\n",
    "private": """
from starlette.responses import JSONResponse

async def handler(request):
    return JSONResponse({}, headers={"access-control-allow-origin": "https://elsewhere.example"})
""",
    "api": """
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware

app = FastAPI()
headers = ["authorization", "apikey", "content-type", "x-client-info", "x-region", "x-mine"]
app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["POST"], allow_headers=headers)

@app.post("/notes")
async def add(request: Request):
    return await request.json()
""",
    "raising": "async def handler(request):\n    raise RuntimeError('PRIVATE')\n",
    "dying": "import os\nasync def handler(request):\n    os._exit(1)\n",
    "unimportable": "import nothing_like_it\n",
    "slow": "import asyncio\nasync def handler(request):\n    await asyncio.Event().wait()\n",
}
TOML = "[runtime]\nport = 0\nresponse_timeout_s = 3\nmax_body_mb = 0.5\n"


class Client(Protocol):
    """Calls one function; gives what the client's user would see."""

    def __call__(self, name: str, **case: Any) -> dict[str, Any]: ...


@pytest.fixture(scope="module")
def serving(shared_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Functions of every kind of answer and of failure."""
    project = tmp_path_factory.mktemp("project")
    (project / "postmill.toml").write_text(TOML)
    (project / "functions").mkdir()
    for name, text in FUNCTIONS.items():
        (project / "functions" / f"{name}.py").write_text(text)
    with servers.cloned_database(shared_server.url) as url:
        environment = {"POSTMILL_DB_URL": url}
        with Serving(project, "serve", "--on-demand", environment=environment) as running:
            yield running


def conversing(command: list[str], serving: Serving, case: dict[str, Any]) -> dict[str, Any]:
    """One case told to a script, and its answer."""
    done = subprocess.run(
        command,
        env=environment(URL=serving.url, KEY=serving.keys.anon),
        input=json.dumps(case),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def javascript(serving: Serving) -> Client:
    """supabase-js under Node."""
    program = node("@supabase/supabase-js")
    # Node before 22 has its WebSocket behind a flag, and the client will not be made without one.
    command = [str(program), "--experimental-websocket", "--no-warnings", str(HERE / "invoke.mjs")]
    return lambda name, **case: conversing(command, serving, {"name": name, **case})


@pytest.fixture(scope="module", params=["2.30.0", "2.34.1"])
def python(serving: Serving, request: pytest.FixtureRequest) -> Client:
    """supabase-py in the version of the parameter, in an environment of its own."""
    interpreter = found(CLIENTS / f"supabase-{request.param}" / "bin" / "python", f"supabase {request.param}")
    command = [str(interpreter), "-W", "ignore", str(HERE / "invoke.py")]
    return lambda name, **case: conversing(command, serving, {"name": name, **case})
