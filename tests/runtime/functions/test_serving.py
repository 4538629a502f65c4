"""What a function may be and do when all goes well: kinds, streams, background work, its end."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from postmill.model.events import Event
from postmill.model.functions.failures import BootFailed, HandlerRaised, LimitReached, NoCapacity
from postmill.model.functions.limits import EndReason, Limits
from postmill.model.functions.settings import RuntimeSettings
from tests.runtime.functions.scene import Scene, copy_functions, hosting, is_alive, scope

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

WORKING = Path(__file__).parent / "working"


@pytest.fixture
def functions(tmp_path: Path) -> Callable[..., Path]:
    """Puts functions into a folder."""

    def put(*names: str) -> Path:
        copy_functions(tmp_path / "f", WORKING, *names)
        return tmp_path / "f"

    return put


async def lines(scene: Scene, slug: str, wanted: str) -> list[str]:
    """What a function has printed, once ``wanted`` is among it."""
    count = 1
    while True:
        said = [str(fields["line"]) for fields in await scene.until(Event.FUNCTION_LOG, slug, count)]
        if wanted in said:
            return said
        count = len(said) + 1


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/dict", 200, b'{"a":1}'),
        ("/list", 200, b"[1,2]"),
        ("/str", 200, b"text"),
        ("/response", 201, b'{"made":true}'),
        ("/teapot", 418, b'{"detail":"short and stout"}'),
        ("/what", 200, b'{"method":"GET","query":"a=b","got":0}'),
    ],
)
async def test_a_handler_may_answer_with(
    path: str, status: int, body: bytes, functions: Callable[..., Path]
) -> None:
    async with hosting(functions("kinds")) as scene:
        answer = await scene.call("kinds", path=path, query=b"a=b")
        assert (answer.status, answer.body) == (status, body)


async def test_a_plain_function_needs_no_request(functions: Callable[..., Path]) -> None:
    async with hosting(functions("greet")) as scene:
        assert (await scene.call("greet")).body == b"hello"


async def test_a_body_arrives_whole(functions: Callable[..., Path]) -> None:
    async with hosting(functions("kinds")) as scene:
        answer = await scene.call("kinds", path="/what", method="PUT", body=bytes(3_000_000))
        assert orjson.loads(answer.body)["got"] == 3_000_000


async def test_what_a_handler_raises_is_in_the_log_alone(functions: Callable[..., Path]) -> None:
    async with hosting(functions("kinds")) as scene:
        with pytest.raises(HandlerRaised) as caught:
            await scene.call("kinds", path="/error")
        assert caught.value.what == "The function raised an error."
        (said,) = scene.events(Event.FUNCTION_UNCAUGHT, "kinds")
        assert "RuntimeError: a secret detail" in said["traceback"]


async def test_a_stream_reaches_the_client_piece_by_piece(functions: Callable[..., Path]) -> None:
    """Each event is sent only after the client has reacted to the one before."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body" and message["body"]:
            heard.put_nowait(message["body"])

    asked = 0

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            assert await heard.get() == b"data: %d\n\n" % (asked - 1)
        asked += 1
        return {"type": "http.request", "body": b"%d" % (asked - 1), "more_body": asked < 5}

    async with hosting(functions("events")) as scene:
        await scene.call("events", method="POST", receive=receive, send=send)
        assert asked == 5


async def test_an_application_has_its_lifespan_and_its_paths(functions: Callable[..., Path]) -> None:
    async with hosting(functions("application")) as scene:
        answer = await scene.call("application", path="/items/7")
        assert orjson.loads(answer.body) == {"id": "7", "state": "from the lifespan"}
        assert (await scene.call("application", path="/nowhere")).status == 404
        await scene.host.stop_function("application")
        await lines(scene, "application", "shutting down")


async def test_an_application_that_can_not_start_is_a_boot_error(functions: Callable[..., Path]) -> None:
    async with hosting(functions("failing_application")) as scene:
        with pytest.raises(BootFailed) as caught:
            await scene.call("failing_application")
        assert "no database" in caught.value.why


async def test_a_websocket_goes_both_ways(functions: Callable[..., Path]) -> None:
    messages: list[dict[str, Any]] = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "one", "bytes": None},
        {"type": "websocket.receive", "text": "two", "bytes": None},
        {"type": "websocket.disconnect", "code": 1000},
    ]
    heard: list[MutableMapping[str, Any]] = []
    replied = asyncio.Semaphore(1)

    async def receive() -> MutableMapping[str, Any]:
        await replied.acquire()
        return messages.pop(0)

    async def send(message: MutableMapping[str, Any]) -> None:
        heard.append(message)
        replied.release()

    async with hosting(functions("application")) as scene:
        what = scope("application", "GET", "/echo", b"", has_body=False)
        what |= {"type": "websocket", "subprotocols": []}
        await scene.host.handle("application", what, receive, send)
    assert [message.get("text") for message in heard if message["type"] == "websocket.send"] == ["ONE", "TWO"]


async def test_work_after_the_response_is_waited_for(functions: Callable[..., Path], tmp_path: Path) -> None:
    settings = {"lingers": {"env": {"FOLDER": str(tmp_path)}, "limits": Limits(requests=1)}}
    async with hosting(functions("lingers"), settings=settings) as scene:
        assert (await scene.call("lingers")).body == b"accepted"
        await scene.until(Event.FUNCTION_RETIRED, "lingers")
        assert not scene.events(Event.FUNCTION_SHUTDOWN, "lingers")
        (tmp_path / "gate").touch()
        (said,) = await scene.until(Event.FUNCTION_SHUTDOWN, "lingers")
        assert said["reason"] == EndReason.EARLY_DROP
        assert (await lines(scene, "lingers", "unloading"))[-2:] == ["worked on", "unloading"]


async def test_what_work_after_the_response_raises_is_logged(functions: Callable[..., Path]) -> None:
    async with hosting(functions("lingers")) as scene:
        await scene.call("lingers", query=b"fail")
        (said,) = await scene.until(Event.FUNCTION_UNCAUGHT, "lingers")
        assert said["error"] == "ValueError: after the response"


async def test_user_code_is_told_of_its_end(functions: Callable[..., Path]) -> None:
    settings = {"lingers": {"limits": Limits(wall_clock_s=2)}}
    async with hosting(functions("lingers"), settings=settings) as scene:
        await scene.call("lingers")  # its work never ends
        assert await lines(scene, "lingers", "warned: wall_clock")
        first, second = await scene.until(Event.FUNCTION_SHUTDOWN, "lingers", 2)  # its replacement as well
        assert EndReason.WALL_CLOCK in (first["reason"], second["reason"])


async def test_a_handler_is_cancelled_when_its_client_is_gone(functions: Callable[..., Path]) -> None:
    async with hosting(functions("hangs_up")) as scene:

        async def receive() -> dict[str, Any]:
            await lines(scene, "hangs_up", "waiting")
            return {"type": "http.disconnect"}

        await scene.call("hangs_up", receive=receive)
        await lines(scene, "hangs_up", "cancelled")


async def test_a_client_that_is_gone_before_anything_began_leaves_its_place(
    functions: Callable[..., Path],
) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    settings = {"greet": {"policy": "per_request"}}
    async with hosting(functions("greet"), settings=settings) as scene:
        for _ in range(5):
            await scene.call("greet", receive=receive)
        assert (await scene.call("greet")).status == 200


async def test_an_isolate_sees_nothing_of_the_host(
    functions: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST_SECRET", "must not be seen")
    async with hosting(functions("surroundings"), environment={"GIVEN": "yes"}) as scene:
        seen = orjson.loads((await scene.call("surroundings")).body)
    assert seen["env"]["GIVEN"] == "yes"
    assert seen["env"]["SB_EXECUTION_ID"]
    known = {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "GIVEN", "SB_EXECUTION_ID"}
    assert set(seen["env"]) <= known
    for environ in (seen["initial_env"], seen["parent_env"]):
        assert not [pair for pair in environ if pair and pair.partition("=")[0] not in known]
    nothing, out, error, channel, records = seen["descriptors"]
    assert nothing == "/dev/null"
    kinds = [name.partition(":")[0] for name in (out, error, channel, records)]
    assert kinds == ["pipe", "pipe", "socket", "pipe"]
    assert seen["session"]
    assert seen["group"]


async def test_per_request_means_one_at_a_time(functions: Callable[..., Path], tmp_path: Path) -> None:
    settings = {"slow": {"policy": "per_request", "instances": 2}}
    async with hosting(functions("slow"), settings=settings) as scene:
        query = f"gate={tmp_path / 'gate'}".encode()
        requests = [asyncio.create_task(scene.call("slow", query=query)) for _ in range(3)]
        await scene.until(Event.FUNCTION_BOOTED, "slow", 2)
        (tmp_path / "gate").touch()
        pids = [orjson.loads((await request).body)["pid"] for request in requests]
        assert len(set(pids)) == 2


async def test_daemons_that_have_ended_are_taken_away_while_it_lives(functions: Callable[..., Path]) -> None:
    """Its own children are left for it to wait for."""
    async with hosting(functions("leaves_daemons")) as scene:
        daemons = orjson.loads((await scene.call("leaves_daemons")).body)
        assert len(daemons) == 3
        while any(is_alive(pid) for pid in daemons):  # noqa: ASYNC110 - nobody says it
            await asyncio.sleep(0.01)
        assert orjson.loads((await scene.call("leaves_daemons", path="/wait")).body) == [3, 3]
        assert not scene.events(Event.FUNCTION_SHUTDOWN, "leaves_daemons")


async def test_per_request_counts_the_cpu_of_each_request(functions: Callable[..., Path]) -> None:
    settings = {"burns": {"policy": "per_request", "limits": Limits(cpu_hard_s=0.6)}}
    async with hosting(functions("burns"), settings=settings) as scene:
        pids = {(await scene.call("burns")).body for _ in range(3)}
        assert len(pids) == 1
        with pytest.raises(LimitReached) as caught:
            await scene.call("burns", query=b"forever")
        assert caught.value.reason == EndReason.CPU_TIME


async def test_oneshot_means_a_process_for_each_request(functions: Callable[..., Path]) -> None:
    settings = {"greet": {"policy": "oneshot"}}
    async with hosting(functions("greet"), settings=settings) as scene:
        for _ in range(3):
            assert (await scene.call("greet")).status == 200
        ends = await scene.until(Event.FUNCTION_SHUTDOWN, "greet", 3)
        assert {said["reason"] for said in ends} == {EndReason.EVENT_LOOP_COMPLETED}


async def test_who_waits_too_long_for_a_place_is_told_so(
    functions: Callable[..., Path], tmp_path: Path
) -> None:
    runtime = RuntimeSettings(capacity_wait_s=0.1)
    settings = {"slow": {"policy": "per_request"}}
    async with hosting(functions("slow"), settings=settings, runtime=runtime) as scene:
        query = f"gate={tmp_path / 'gate'}".encode()
        first = asyncio.create_task(scene.call("slow", query=query))
        await scene.until(Event.FUNCTION_BOOTED, "slow")
        with pytest.raises(NoCapacity) as caught:
            await scene.call("slow", query=query)
        assert (caught.value.status, caught.value.code) == (503, "CAPACITY")
        (tmp_path / "gate").touch()
        assert (await first).status == 200
        assert (await scene.call("slow", query=query)).status == 200


async def test_a_function_that_keeps_failing_to_start_is_refused_at_once(
    functions: Callable[..., Path],
) -> None:
    async with hosting(functions(), "raises_at_import") as scene:
        for _ in range(8):
            with pytest.raises(BootFailed):
                await scene.call("raises_at_import")
        (said,) = scene.events(Event.FUNCTION_BROKEN, "raises_at_import")
        assert said["failures"] == 5
        failed = scene.events(Event.FUNCTION_BOOT_FAILED, "raises_at_import")
        assert len(failed) == 5
        assert [bool(said["traceback"]) for said in failed] == [True, False, False, False, False]
        assert all("(raises_at_import.py, line " in said["error"] for said in failed)


async def test_what_a_function_says_is_logged_under_its_name(
    functions: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "postmill"):
        async with hosting(functions("logs")) as scene:
            await scene.call("logs")
    said = {
        (record.__dict__["fields"]["line"], record.levelname, record.__dict__["fields"]["function"])
        for record in caplog.records
        if record.getMessage() == Event.FUNCTION_LOG
    }
    assert said == {
        ("printed", "INFO", "logs"),
        ("to stderr", "INFO", "logs"),
        ("careful", "WARNING", "logs"),
    }


@pytest.mark.parametrize("slug", ["barrier", "barrier_application"])
async def test_plain_code_runs_as_often_at_a_time_as_concurrency_says(
    slug: str, functions: Callable[..., Path]
) -> None:
    """Fifty requests that wait for one another: fewer threads than that would wait for ever."""
    async with hosting(functions(slug), settings={slug: {"concurrency": 60}}) as scene:
        answers = await asyncio.gather(*(scene.call(slug) for _ in range(50)))
    assert {answer.body for answer in answers} == {b"together"}
    assert len(scene.events(Event.FUNCTION_BOOTED, slug)) == 1


async def test_more_threads_than_there_are_is_told_at_the_start(
    functions: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    async with hosting(functions("greet"), settings={"greet": {"concurrency": 257}}) as scene:
        await scene.call("greet")
        await scene.host.stop_function("greet")
    (line,) = [fields["line"] for fields in logged(caplog) if "concurrency" in str(fields.get("line"))]
    assert "257" in line
    assert "256" in line


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The fields of every record."""
    return [record.fields for record in caplog.records if hasattr(record, "fields")]


@pytest.mark.parametrize("way", ["print", "log", "fields"])
async def test_nothing_that_a_function_writes_is_an_event_of_the_host(
    way: str, functions: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    """It printed a line with the mark of a record, and the log told that another function had been killed."""
    caplog.set_level("INFO", "postmill")
    async with hosting(functions("forges")) as scene:
        await scene.call("forges", query=f"way={way}".encode())
        await lines(scene, "forges", "done")
        await scene.host.stop_function("forges")
        (end,) = scene.events(Event.FUNCTION_SHUTDOWN)
        assert end["reason"] == EndReason.TERMINATION_REQUESTED
        assert not scene.events(Event.ISOLATES_LOST)
    said = [(record.getMessage(), record.fields) for record in caplog.records if hasattr(record, "fields")]
    assert [name for name, _ in said].count("function.shutdown") == 1
    assert "isolates.lost" not in [name for name, _ in said]
    assert {fields["function"] for _, fields in said} == {"forges"}
    assert not [fields for _, fields in said if fields.keys() & {"event", "level", "a b\n"}]
    forged = [fields for name, fields in said if name == "function.log" and fields["line"] != "done"]
    assert len(forged) == {"print": 3, "log": 2, "fields": 1}[way]
