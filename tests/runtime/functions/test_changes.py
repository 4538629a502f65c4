"""Files that change while the host runs: the new version serves when it is up, the old one finishes first."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest

from postmill.model.errors import InvalidFunction
from postmill.model.events import Event
from postmill.model.function_failures import FunctionNotFound
from postmill.model.function_limits import EndReason
from tests.runtime.functions.scene import Scene, copy_functions, hosting

WORKING = Path(__file__).parent / "working"
VERSION = "from _shared import NAME\n\n\ndef handler():\n    return f'{NAME} says %s'\n"


def write(folder: Path, name: str, text: str) -> None:
    """A file, complete at once."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.new").write_text(text, encoding="utf-8")
    (folder / f"{name}.new").rename(folder / name)


async def test_a_changed_file_replaces_the_function(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    write(folder, "_shared.py", "NAME = 'ann'\n")
    write(folder, "changing.py", VERSION % "one")
    async with hosting(folder, reload=True) as scene:
        assert (await scene.call("changing")).body == b"ann says one"
        await scene.call("healthy")
        write(folder, "changing.py", VERSION % "two")
        await answers(scene, b"ann says two")
        ends = await scene.until(Event.FUNCTION_SHUTDOWN, "changing")
        assert {said["reason"] for said in ends} == {EndReason.EARLY_DROP}
        assert not scene.events(Event.FUNCTION_SHUTDOWN, "healthy")
        write(folder, "_shared.py", "NAME = 'bob'\n")
        await answers(scene, b"bob says two")
        await scene.until(Event.FUNCTION_SHUTDOWN, "healthy")


async def answers(scene: Scene, body: bytes) -> None:
    """Wait until the function answers so; one change may be told in two parts, and replace it twice."""
    ends = len(scene.events(Event.FUNCTION_SHUTDOWN, "changing"))
    while (await scene.call("changing")).body != body:
        ends += 1
        await scene.until(Event.FUNCTION_SHUTDOWN, "changing", ends)


async def test_a_version_that_can_not_start_leaves_the_old_one_serving(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    write(folder, "_shared.py", "NAME = 'ann'\n")
    write(folder, "changing.py", VERSION % "one")
    async with hosting(folder, reload=True) as scene:
        await scene.call("changing")
        write(folder, "changing.py", "def handler(:\n")
        await scene.until(Event.FUNCTION_BOOT_FAILED, "changing")
        assert (await scene.call("changing")).body == b"ann says one"


async def test_functions_come_and_go(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    async with hosting(folder, reload=True) as scene:
        await scene.call("healthy")
        with pytest.raises(FunctionNotFound):
            await scene.call("greet")
        copy_functions(folder, WORKING, "greet")
        await scene.until(Event.FUNCTION_CHANGED)
        assert (await scene.call("greet")).status == 200
        (folder / "healthy.py").unlink()
        await scene.until(Event.FUNCTION_SHUTDOWN, "healthy")
        with pytest.raises(FunctionNotFound):
            await scene.call("healthy")
        assert scene.events(Event.FUNCTION_CHANGED)[-1]["functions"] == [], "the others are as they were"


async def test_what_runs_is_finished_by_the_old_version(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    copy_functions(folder, WORKING, "slow")
    async with hosting(folder, reload=True) as scene:
        query = f"gate={tmp_path / 'gate'}".encode()
        running = asyncio.create_task(scene.call("slow", query=query))
        await scene.until(Event.FUNCTION_BOOTED, "slow")
        (folder / "slow.py").write_bytes((folder / "slow.py").read_bytes() + b"\n")
        await scene.until(Event.FUNCTION_RETIRED, "slow")
        (tmp_path / "gate").touch()
        old = orjson.loads((await running).body)["pid"]
        new = orjson.loads((await scene.call("slow", query=query)).body)["pid"]
        assert old != new


async def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    write(folder, "twice.py", "def handler(): ...\n")
    write(folder / "twice", "main.py", "def handler(): ...\n")
    with pytest.raises(InvalidFunction, match="two functions named 'twice'"):
        async with hosting(folder):
            pass


async def test_a_table_without_a_file_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidFunction, match="Did you mean healthy"):
        async with hosting(tmp_path / "f", settings={"helthy": {}}):
            pass


async def test_a_folder_with_main_is_a_function_and_sees_its_own_files(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    write(folder / "packed", "main.py", "import piece\n\n\ndef handler():\n    return piece.TEXT\n")
    write(folder / "packed", "piece.py", "TEXT = 'beside it'\n")
    write(folder / "_not_one", "main.py", "raise SystemExit\n")
    async with hosting(folder) as scene:
        assert (await scene.call("packed")).body == b"beside it"
        assert [info.slug for info in scene.host.functions()] == ["healthy", "packed"]
