"""Functions as their users have them: `postmill serve` as a process, called over HTTP."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from postmill.service.stop_requests import ECHO_S
from tests.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.conftest import Cli

ECHO = '''
import os
from starlette.responses import JSONResponse, Response, StreamingResponse

async def handler(request):
    """What arrived, and what the function knows of the world."""
    return JSONResponse({
        "method": request.method,
        "path": request.url.path,
        "query": request.url.query,
        "headers": dict(request.headers),
        "body": (await request.body()).decode(),
        "environment": dict(os.environ),
    })
'''
ENDLESS = """
import asyncio
from starlette.responses import StreamingResponse

async def ticks():
    yield "data: first\\n\\n"
    await asyncio.Event().wait()

async def handler(request):
    return StreamingResponse(ticks(), media_type="text/event-stream")
"""
TROUBLE = """
import os
from starlette.responses import StreamingResponse

async def broken_stream():
    yield b"half"
    raise RuntimeError("PRIVATE")

async def handler(request):
    match request.query_params["how"]:
        case "raise":
            raise RuntimeError("PRIVATE")
        case "exit":
            os._exit(3)
        case "junk":
            return object()
        case "stream":
            return StreamingResponse(broken_stream())
"""
WORKER = """
from postmill import Context, worker

@worker(queue="jobs")
async def work(payload: dict, ctx: Context) -> None:
    ctx.log.info("WORKED %s", payload["number"])
"""
APP = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def index(request):
    return PlainTextResponse("index")

async def deeper(request):
    return PlainTextResponse("item " + request.path_params["name"])

app = Starlette(routes=[Route("/", index, methods=["GET", "POST"]), Route("/items/{name}", deeper)])
"""
TOML = """
[runtime]
port = 0
max_body_mb = 0.1

[functions.open]
verify_jwt = false

[functions.off]
enabled = false

[functions.echo.env]
GREETING = "hello"
"""


@pytest.fixture
def project(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one function of each kind that the tests need."""
    monkeypatch.setenv("POSTMILL_DB_URL", database_url)
    (tmp_path / "postmill.toml").write_text(TOML)
    folder = tmp_path / "functions"
    folder.mkdir()
    sources = {"echo": ECHO, "endless": ENDLESS, "trouble": TROUBLE, "jobs": WORKER, "app": APP}
    sources |= {"open": ECHO, "off": ECHO, "_shared": "", "unimportable": "import nothing_like_it\n"}
    for name, text in sources.items():
        (folder / f"{name}.py").write_text(text)
    return tmp_path


@pytest.fixture
def serving(project: Path) -> Iterator[Serving]:
    """The project, served; functions start at their first request."""
    with Serving(project, "serve", "--on-demand") as running:
        yield running


def platform_error(response: httpx.Response) -> tuple[int, str, str | None]:
    """The status, the code and the relay header of an error in the documented form."""
    body = response.json()
    assert set(body) == {"code", "message", "msg", "error"}
    assert body["code"] == response.headers["sb-error-code"]
    assert response.headers["access-control-allow-origin"] == "*"
    assert "PRIVATE" not in response.text
    return response.status_code, body["code"], response.headers.get("x-relay-error")


def test_a_request_reaches_its_function_whole(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    response = serving.client.put("echo/sub/path?a=1&b=%20", content=b"body", headers={"x-mine": "1"})
    assert response.status_code == 200, response.text
    seen = response.json()
    assert (seen["method"], seen["path"], seen["query"]) == (
        "PUT",
        "/functions/v1/echo/sub/path",
        "a=1&b=%20",
    )
    assert (seen["body"], seen["headers"]["x-mine"]) == ("body", "1")


def test_a_function_knows_its_project_and_nothing_of_the_host(
    project: Path, monkeypatch: pytest.MonkeyPatch, cli_without_database: Cli
) -> None:
    monkeypatch.setenv("HOST_SECRET", "hush")
    cli_without_database("secrets", "set", "API_KEY=one", "--project", str(project))
    (project / "variables").write_text("FROM_FILE=yes\n")
    with Serving(project, "serve", "--on-demand", "--env-file", "variables") as serving:
        known = serving.client.get("echo").json()["environment"]
        assert known["SUPABASE_URL"] == serving.url
        assert known["SUPABASE_ANON_KEY"] == serving.keys.anon
        assert known["SUPABASE_SERVICE_ROLE_KEY"] == serving.keys.service_role
        assert known["SUPABASE_DB_URL"] == os.environ["POSTMILL_DB_URL"]
        assert (known["API_KEY"], known["GREETING"], known["FROM_FILE"]) == ("one", "hello", "yes")
        assert known["SB_EXECUTION_ID"]
        assert "HOST_SECRET" not in known
        assert not any(serving.keys.jwt_secret in value for value in known.values())
        cli_without_database("secrets", "set", "API_KEY=two", "--project", str(project))
        assert cli_without_database("functions", "stop", "echo").code == 0
        assert serving.client.get("echo").json()["environment"]["API_KEY"] == "two"
        for key in (serving.keys.jwt_secret, *(key for key, _ in serving.keys.roles()), "hush"):
            assert key not in serving.log


def test_an_app_is_at_home_at_its_address(serving: Serving) -> None:
    assert serving.client.post("app").text == "index"
    assert serving.client.get("app/").text == "index"
    assert serving.client.get("app/items/one").text == "item one"
    assert serving.client.get("app/nowhere").status_code == 404
    assert "sb-error-code" not in serving.client.get("app/nowhere").headers


def test_each_failure_has_its_answer(serving: Serving) -> None:
    assert platform_error(serving.client.get("nobody")) == (404, "NOT_FOUND", "true")
    assert platform_error(serving.client.get("off")) == (404, "NOT_FOUND", "true")
    assert platform_error(serving.client.get("_shared")) == (404, "NOT_FOUND", "true")
    assert platform_error(serving.client.get("unimportable")) == (503, "BOOT_ERROR", "true")
    assert platform_error(serving.client.get("trouble?how=raise")) == (500, "EDGE_FUNCTION_ERROR", None)
    assert platform_error(serving.client.get("trouble?how=junk")) == (500, "EDGE_FUNCTION_ERROR", None)
    assert platform_error(serving.client.get("trouble?how=exit")) == (500, "WORKER_ERROR", None)
    with pytest.raises(httpx.RemoteProtocolError):
        serving.client.get("trouble?how=stream")
    large = serving.client.post("echo", content=b"x" * 200_000)
    assert platform_error(large) == (413, "PAYLOAD_TOO_LARGE", "true")
    stranger = httpx.get(f"{serving.functions}/echo")
    assert platform_error(stranger) == (401, "UNAUTHORIZED_NO_AUTH_HEADER", "true")
    assert httpx.get(f"{serving.functions}/open").status_code == 200
    assert "PRIVATE" in serving.log  # the traceback is told to whoever runs the host


def test_a_worker_is_started_by_a_request_and_stopped_by_a_command(
    serving: Serving, cli_without_database: Cli
) -> None:
    started = serving.client.post("jobs").json()
    assert (started["status"], started["functionName"]) == ("started", "jobs")
    assert serving.client.get("jobs").json() == started | {"status": "running"}
    cli_without_database("send", "jobs", '{"number": 7}', "--create")
    serving.said("WORKED 7")
    listed = {row["function"]: row for row in cli_without_database("functions", "list", "--json").json}
    assert (listed["jobs"]["kind"], listed["jobs"]["state"], listed["jobs"]["instances"]) == (
        "worker",
        "running",
        1,
    )
    assert listed["off"]["state"] == "disabled"
    assert cli_without_database("functions", "stop", "jobs").code == 0
    listed = {row["function"]: row for row in cli_without_database("functions", "list", "--json").json}
    assert listed["jobs"]["state"] == "stopped"
    assert cli_without_database("functions", "stop", "nobody").code == 3


def test_a_function_is_recycled_by_a_command(serving: Serving, cli_without_database: Cli) -> None:
    """Its processes are new ones; while no new one can be started, the old one stays."""

    def execution() -> str:
        id_: str = serving.client.get("echo").json()["environment"]["SB_EXECUTION_ID"]
        return id_

    before = execution()
    assert cli_without_database("functions", "recycle", "echo").code == 0
    after = execution()
    assert after != before
    path = serving.project / "functions" / "echo.py"
    path.write_text("import nothing_like_it\n" + path.read_text())
    refused = cli_without_database("functions", "recycle", "echo")
    assert (refused.code, "could not be started" in refused.err) == (1, True)
    assert "nothing_like_it" in refused.err
    assert execution() == after
    unknown = cli_without_database("functions", "recycle", "nobody")
    assert (unknown.code, "try: postmill functions list" in unknown.err) == (3, True)


def test_commands_reach_a_host_that_shares_only_its_jwt_secret(
    project: Path, cli_without_database: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process then makes a secret key of its own; what the secret has signed is known to both."""
    monkeypatch.setenv("POSTMILL_JWT_SECRET", "s" * 40)
    with Serving(project, "serve", "--on-demand", listening=False) as serving:
        serving.said("Postmill: functions at")
        states = {
            row["function"]: row["state"] for row in cli_without_database("functions", "list", "--json").json
        }
        assert states["echo"] == "idle"
        assert cli_without_database("functions", "recycle", "echo").code == 0


def test_it_is_ready_as_long_as_its_database_answers(project: Path, server: Any) -> None:
    environment = {"POSTMILL_DB_URL": server.url}
    with Serving(project, "serve", "--on-demand", environment=environment) as serving:

        def ready() -> httpx.Response:
            return httpx.get(f"{serving.url}/ready")

        assert ready().status_code == 200
        server.stop("immediate")
        while ready().status_code == 200:
            pass
        assert platform_error(ready()) == (503, "NOT_READY", "true")
        assert httpx.get(f"{serving.url}/live").status_code == 200
        assert serving.client.get("echo").status_code == 200  # it needs no database
        server.start()
        while ready().status_code != 200:
            pass


def test_tokens_of_a_published_key_set_get_in(project: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    public = jwt.algorithms.ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    (project / "published.json").write_text(json.dumps({"keys": [{**public, "kid": "1"}]}))
    toml = (project / "postmill.toml").read_text()
    (project / "postmill.toml").write_text(toml.replace("[runtime]", '[runtime]\njwks = "published.json"'))
    token = jwt.encode({"role": "authenticated"}, private, "ES256", headers={"kid": "1"})
    with Serving(project, "serve", "--on-demand") as serving:
        headers = {"authorization": f"Bearer {token}"}
        assert httpx.get(f"{serving.functions}/echo", headers=headers).status_code == 200
        changed = {"authorization": f"Bearer {token[:-8]}AAAAAAAA"}
        refused = httpx.get(f"{serving.functions}/echo", headers=changed)
        assert platform_error(refused) == (401, "UNAUTHORIZED_LEGACY_JWT", "true")


def test_a_changed_file_replaces_its_function(project: Path) -> None:
    path = project / "functions" / "version.py"
    path.write_text("async def handler():\n    return 'one'\n")
    with Serving(project, "serve", "--on-demand", "--reload") as serving:
        assert serving.client.get("version").text == "one"
        path.write_text("async def handler():\n    return 'two'\n")
        while serving.client.get("version").text == "one":
            pass
        assert serving.client.get("version").text == "two"
        (project / "functions" / "added.py").write_text("async def handler():\n    return 'added'\n")
        while serving.client.get("added").status_code == 404:
            pass
        assert serving.client.get("added").text == "added"


def test_dev_serves_functions_once_they_can_be(project: Path) -> None:
    """A table without its file is told, and keeps no other function from being served."""
    toml = (project / "postmill.toml").read_text()
    (project / "postmill.toml").write_text(toml + "[functions.later]\nverify_jwt = false\n")
    with Serving(project, "dev", listening=False) as serving:
        serving.said("later.py")
        serving.find()
        (project / "functions" / "later.py").write_text("async def handler():\n    return 'here'\n")
        serving.said("function.changed")
        assert serving.client.get("later").text == "here"
        assert serving.stop() == 0


def test_dev_sees_a_repair_that_is_older_than_its_start(project: Path) -> None:
    """A file that is moved or copied into place keeps its time, and was no news to dev."""
    variables, repair = project / "functions" / ".env", project / "repair"
    variables.write_text('A="not closed\n')
    repair.write_text("A=1\n")
    os.utime(repair, (1_000_000_000, 1_000_000_000))
    with Serving(project, "dev", listening=False) as serving:
        serving.said("A quote is not closed")
        repair.rename(variables)
        serving.find()
        serving.said("worker.started")
        assert serving.stop() == 0


def test_dev_serves_what_is_made_while_it_runs(
    project: Path, cli_without_database: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first function of a project, and a worker, which nobody calls and which starts by itself."""
    shutil.rmtree(project / "functions")
    (project / "postmill.toml").write_text("[runtime]\nport = 0\n")
    (project / "worker.py").write_text(WORKER)
    monkeypatch.chdir(project)
    with Serving(project, "dev", listening=False) as serving:
        serving.said("worker.started")
        cli_without_database("functions", "new", "hello")
        serving.find()
        assert serving.client.get("hello").json() == {"message": "Hello, world!"}
        cli_without_database("functions", "new", "bake", "--template", "worker")
        cli_without_database("send", "bake", '{"name": "Ada"}', "--create")
        serving.said("hello, Ada")
        unknown = cli_without_database("functions", "recycle", "nobody")
        assert "There is no function nobody." in unknown.err


def test_an_edge_worker_is_run_by_the_host(project: Path, cli_without_database: Cli) -> None:
    text = "from postmill import EdgeWorker\n\nasync def work(payload):\n    print('DONE', payload)\n\n"
    text += "EdgeWorker.start(work, queueName='edge', maxConcurrent=2)\n"
    (project / "functions" / "edge.py").write_text(text)
    with Serving(project, "serve", "--on-demand") as serving:
        assert serving.client.post("edge").json()["status"] == "started"
        cli_without_database("send", "edge", "7", "--create")
        serving.said("DONE 7")


def test_the_log_can_be_read_from_another_terminal(
    serving: Serving, cli_without_database: Cli, spawn: Any
) -> None:
    serving.client.get("trouble?how=raise")
    told = cli_without_database("logs", "--jsonl", "--function", "trouble").out.splitlines()
    lines = [json.loads(line) for line in told]
    assert {line["function"] for line in lines} == {"trouble"}
    assert "function.booted" in {line["event"] for line in lines}
    assert "function.booted" in cli_without_database("logs").out
    assert "postmill functions list" in cli_without_database("logs", "--function", "nobody").err
    follower = spawn("logs", "-f", "-n", "1", "--jsonl")
    follower.stdout.readline()
    serving.client.get("echo")
    for text in follower.stdout:
        line = json.loads(text)
        if (line["event"], line.get("function")) == ("function.booted", "echo"):
            break
    follower.send_signal(signal.SIGINT)
    assert follower.wait() == 130


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_idle_streams_open(serving: Serving, how: signal.Signals) -> None:
    """The port is closed, the streams are cut without a proper end, and the exit code is 0."""
    with serving.client.stream("GET", "endless") as first, serving.client.stream("GET", "endless") as second:
        chunks = [each.iter_bytes() for each in (first, second)]
        assert [next(each) for each in chunks] == [b"data: first\n\n"] * 2
        assert serving.stop(how) == 0
        for each in chunks:
            with pytest.raises(httpx.RemoteProtocolError):
                next(each)
    serving.said("Stopping")
    with pytest.raises(httpx.ConnectError):
        httpx.get(serving.url)


def test_a_second_signal_forces(project: Path) -> None:
    toml = (project / "postmill.toml").read_text()
    (project / "postmill.toml").write_text(toml.replace("port = 0", "port = 0\ngrace_s = 1000"))
    with (
        Serving(project, "serve", "--on-demand") as serving,
        serving.client.stream("GET", "endless") as response,
    ):
        pieces = response.iter_bytes()  # kept: one that is forgotten closes the connection
        next(pieces)
        serving.process.terminate()
        serving.said("Stopping")
        time.sleep(ECHO_S)
        assert serving.process.poll() is None
        assert serving.stop() == 0
        serving.said("Forcing")


def test_what_runs_may_finish(project: Path) -> None:
    (project / "functions" / "slow.py").write_text(
        "import asyncio\nasync def handler(request):\n"
        "    print('RUNNING', flush=True)\n    await asyncio.sleep(1)\n    return 'finished'\n"
    )
    import threading

    with Serving(project, "serve", "--on-demand") as serving:
        answers: list[str] = []
        caller = threading.Thread(target=lambda: answers.append(serving.client.get("slow").text))
        caller.start()
        serving.said("RUNNING")
        assert serving.stop() == 0
        caller.join()
        assert answers == ["finished"]


def test_an_address_that_others_reach_needs_keys_of_ones_own(
    project: Path, cli_without_database: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = cli_without_database("serve", "--host", "0.0.0.0")
    assert (answer.code, answer.error_code) == (4, "refused")
    assert not (project / ".postmill" / "keys.json").exists()
    monkeypatch.setenv("POSTMILL_JWT_SECRET", "short")
    assert cli_without_database("serve", "--host", "0.0.0.0").code == 2


@pytest.mark.usefixtures("project")
def test_a_port_that_is_taken_is_named(cli_without_database: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        answer = cli_without_database("serve", "--port", port)
    assert (answer.code, answer.error_code) == (2, "invalid-option")
    assert port in answer.err


@pytest.mark.parametrize("command", ["serve", "dev"])
def test_a_second_one_of_the_project_is_refused(
    serving: Serving, cli_without_database: Cli, command: str
) -> None:
    """Two sets of workers ran, and the second one's end made the first one's functions unknown."""
    answer = cli_without_database(command)
    assert (answer.code, answer.error_code) == (4, "already-started")
    assert f"process {serving.process.pid}" in answer.err
    assert serving.url in answer.err
    states = {
        row["function"]: row["state"] for row in cli_without_database("functions", "list", "--json").json
    }
    assert states["echo"] == "idle"


def test_each_call_has_a_line_and_its_answer_the_id_of_its_isolate(serving: Serving) -> None:
    answer = serving.client.get("echo", params={"token": "PRIVATE"})
    execution = answer.headers["sb-execution-id"]
    line = serving.said("request.served")
    assert f"method=GET path=/functions/v1/echo status={answer.status_code} duration_ms=" in line
    assert execution[:8] in line
    assert "PRIVATE" not in line
    assert httpx.get(f"{serving.functions}/echo").status_code == 401
    assert "status=401" in serving.said("status=401")
    httpx.get(f"{serving.url}/live")
    assert serving.client.get("missing").status_code == 404
    serving.said("status=404")
    assert not [line for line in serving.log.splitlines() if "path=/live" in line]


def test_what_a_function_prints_is_shown_as_it_was_printed(project: Path) -> None:
    (project / "functions" / "loud.py").write_text("def handler():\n    print('Scraped  website!')\n")
    with Serving(project, "serve", "--on-demand") as serving:
        serving.client.get("loud")
        assert serving.said("Scraped").endswith("loud             | Scraped  website!\n")


def states(cli: Cli) -> dict[str, str]:
    return {row["function"]: row["state"] for row in cli("functions", "list", "--json").json}


def test_a_stopped_worker_is_started_again_and_all_are_recycled(
    serving: Serving, cli_without_database: Cli
) -> None:
    assert cli_without_database("functions", "start", "jobs", "--json").json["started"]
    assert states(cli_without_database)["jobs"] == "running"
    cli_without_database("functions", "stop", "jobs")
    assert states(cli_without_database)["jobs"] == "stopped"
    assert cli_without_database("functions", "recycle", "--all", "--json").json == {"recycled": []}
    cli_without_database("functions", "start", "jobs")
    assert cli_without_database("functions", "recycle", "--all", "--json").json == {"recycled": ["jobs"]}
    assert states(cli_without_database)["jobs"] == "running"
    broken = cli_without_database("functions", "start", "unimportable")
    assert (broken.code, "nothing_like_it" in broken.err) == (1, True)
    assert cli_without_database("functions", "recycle").error_code == "usage"
    rows = {row["function"]: row for row in cli_without_database("functions", "list", "--json").json}
    assert "nothing_like_it" in rows["unimportable"]["why"]
