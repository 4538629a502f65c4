"""Files that change while the host runs: the new version serves when it is up, the old one finishes first."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest

from postmill.host.configuration import Configuration
from postmill.host.supervisor import Supervisor
from postmill.model.config.settings import Settings
from postmill.model.errors import InvalidFunction, InvalidOption
from postmill.model.events import Event
from postmill.model.functions.failures import BootFailed, FunctionNotFound
from postmill.model.functions.limits import EndReason
from postmill.model.functions.settings import FunctionSettings, RuntimeSettings
from tests.runtime.functions.scene import GIVE_UP_S, Scene, copy_functions, hosting

if TYPE_CHECKING:
    from postmill.service.service import Service

WORKING = Path(__file__).parent / "working"
SAYS = "import os\n\n\ndef handler():\n    return os.environ.get('A', '') + ' says %s'\n"
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
        assert shown(scene)["changing"] == "outdated"
        write(folder, "changing.py", VERSION % "two")
        await answers(scene, b"ann says two")
        assert shown(scene)["changing"] == "running"


def shown(scene: Scene) -> dict[str, str]:
    """The states, as the list shows them."""
    return {info.slug: info.state for info in scene.host.functions()}


async def test_a_function_that_nobody_has_asked_for_keeps_its_version_too(tmp_path: Path) -> None:
    """It was ended before the broken version was tried, and then nothing served it."""
    folder = tmp_path / "f"
    write(folder, "changing.py", SAYS % "one")
    async with hosting(folder, reload=True) as scene:
        await scene.host.start_workers()
        write(folder, "changing.py", "def handler(:\n")
        await scene.until(Event.FUNCTION_BOOT_FAILED, "changing")
        assert not scene.events(Event.FUNCTION_RETIRED, "changing")
        assert (await scene.call("changing")).body == b" says one"
        async with asyncio.timeout(3 * RuntimeSettings().grace_s):  # it waited 40 s for a start that was over
            await scene.host.stop()


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


async def test_a_file_of_variables_that_was_broken_once_is_followed_on(tmp_path: Path) -> None:
    """One save of a broken file ended the reload for good, without a word."""
    folder, variables = tmp_path / "f", {"A": "ann"}

    def environment() -> dict[str, str]:
        if not variables:
            raise InvalidOption("functions/.env, line 1: the quote is never closed.")
        return variables

    write(folder, "changing.py", SAYS % "one")
    async with hosting(folder, reload=True, environment=environment) as scene:
        assert (await scene.call("changing")).body == b"ann says one"
        variables.clear()
        write(folder, ".env", 'A="')
        (failed,) = await scene.until(Event.FUNCTION_BOOT_FAILED, "changing")
        assert "never closed" in failed["error"]
        assert (await scene.call("changing")).body == b"ann says one", "the old one serves"
        variables["A"] = "bob"
        write(folder, ".env", "A=bob")
        await answers(scene, b"bob says one")
        write(folder, "changing.py", SAYS % "two")
        await answers(scene, b"bob says two")


async def test_variables_that_can_not_be_given_are_a_boot_error_by_name(tmp_path: Path) -> None:
    """Every function answered CAPACITY, the log was silent, and the host could not be stopped."""
    async with hosting(tmp_path / "f", environment={"GOOD": "x", "BAD": "caf\udce9"}) as scene:
        with pytest.raises(BootFailed, match="could not be started") as caught:
            await scene.call("healthy")
        assert "BAD" in caught.value.why
        assert "caf" not in caught.value.why
        (said,) = scene.events(Event.FUNCTION_BOOT_FAILED, "healthy")
        assert "BAD" in said["error"]


async def test_a_deleted_function_that_has_a_table_is_gone_and_blocks_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    write(folder, "changing.py", SAYS % "one")
    async with hosting(folder, reload=True, settings={"healthy": {}}) as scene:
        await scene.call("healthy")
        await scene.call("changing")
        (folder / "healthy.py").unlink()
        (said,) = await scene.until(Event.FUNCTION_BOOT_FAILED, "healthy")
        assert "has no file" in said["error"]
        await scene.until(Event.FUNCTION_SHUTDOWN, "healthy")
        with pytest.raises(FunctionNotFound):
            await scene.call("healthy")
        write(folder, "changing.py", SAYS % "two")
        await answers(scene, b" says two")
        assert len(scene.events(Event.FUNCTION_BOOT_FAILED)) == 1, "told once"


async def test_a_name_that_is_there_twice_leaves_the_first_serving(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    write(folder, "changing.py", SAYS % "one")
    async with hosting(folder, reload=True) as scene:
        await scene.call("changing")
        write(folder / "changing", "main.py", SAYS % "other")
        await scene.until(Event.FUNCTION_BOOT_FAILED, "changing")
        assert (await scene.call("changing")).body == b" says one"
        assert not scene.events(Event.FUNCTION_SHUTDOWN, "healthy")
        (folder / "changing" / "main.py").unlink()
        write(folder, "changing.py", SAYS % "two")
        await answers(scene, b" says two")


async def test_with_reload_a_fault_at_the_start_is_one_functions_too(tmp_path: Path) -> None:
    """Whoever develops serves the others meanwhile; in production the start is refused."""
    folder = tmp_path / "f"
    write(folder, "changing.py", SAYS % "one")
    write(folder / "changing", "main.py", SAYS % "other")
    async with hosting(folder, reload=True, settings={"helthy": {}}) as scene:
        assert (await scene.call("healthy")).status == 200
        faults = {said["function"] for said in scene.events(Event.FUNCTION_BOOT_FAILED)}
        assert faults == {"changing", "helthy"}
        (folder / "changing" / "main.py").unlink()
        await scene.until(Event.FUNCTION_CHANGED)
        assert (await scene.call("changing")).body == b" says one"


async def test_a_folder_that_is_removed_and_made_again_is_followed(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    write(folder, "changing.py", SAYS % "one")
    async with hosting(folder, reload=True) as scene:
        await scene.call("changing")
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        await scene.until(Event.FUNCTION_SHUTDOWN, "changing")
        write(folder, "changing.py", SAYS % "two")
        await scene.until(Event.FUNCTION_CHANGED, count=2)
        assert (await scene.call("changing")).body == b" says two"
        write(folder, "changing.py", SAYS % "three")
        await answers(scene, b" says three")


async def test_one_that_hangs_at_its_import_keeps_nobody_from_being_followed(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    write(folder, "changing.py", SAYS % "one")
    write(folder, "hanging.py", SAYS % "one")
    async with hosting(folder, reload=True) as scene:
        await scene.call("hanging")
        await scene.call("changing")
        write(folder, "hanging.py", "import time\n\ntime.sleep(3600)\n")
        await scene.until(Event.FUNCTION_CHANGED)
        write(folder, "changing.py", SAYS % "two")
        await answers(scene, b" says two")
        assert not scene.events(Event.FUNCTION_BOOT_FAILED)


async def test_a_bug_of_the_host_in_one_change_is_told_and_the_next_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "f"
    write(folder, "changing.py", SAYS % "one")
    async with hosting(folder, reload=True) as scene:
        await scene.call("changing")
        with monkeypatch.context() as broken:
            broken.setattr("postmill.host.host.concern_all", None)
            write(folder, "changing.py", SAYS % "two")
            (said,) = await scene.until(Event.HOST_FAILED)
            assert "TypeError" in said["reason"]
        write(folder, "changing.py", SAYS % "three")
        await answers(scene, b" says three")


async def test_a_service_of_the_host_that_dies_is_told_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its supervisor a host keeps no limit and no worker: the readiness probe knows meanwhile."""
    async with hosting(tmp_path / "f", reload=True) as scene:
        with monkeypatch.context() as broken:
            broken.setattr(Supervisor, "_count_families", None)
            (said,) = await scene.until(Event.SERVICE_FAILED)
            assert said["service"] == "supervisor"
            assert "supervisor" in str(scene.host.trouble)
        async with asyncio.timeout(GIVE_UP_S):
            while scene.host.trouble is not None:  # noqa: ASYNC110 - nobody says it
                await asyncio.sleep(0.01)
        assert (await scene.call("healthy")).status == 200


class File:
    """A ``postmill.toml``, as read."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "postmill.toml"
        self.settings: Settings | None = Settings(project_dir=folder, data_dir=folder)

    def read(self) -> Settings:
        if self.settings is None:
            raise InvalidOption("postmill.toml has an unknown name: prot.")
        return self.settings

    def write(self, text: str, settings: Settings | None) -> None:
        self.settings = settings
        write(self.path.parent, "postmill.toml", text)


async def test_changed_settings_are_taken_over_or_said_to_need_a_restart(tmp_path: Path) -> None:
    folder, file = tmp_path / "f", File(tmp_path)
    write(folder, "changing.py", SAYS % "one")
    configuration = Configuration(file.path, file.read)
    first = file.read()
    async with hosting(folder, reload=True, configuration=configuration) as scene:
        assert (await scene.call("changing")).body == b" says one"
        await scene.call("healthy")
        table = {"changing": FunctionSettings(slug="changing", env={"A": "ann"}, verify_jwt=False)}
        file.write("one", replace(first, functions=table))
        await answers(scene, b"ann says one")
        settings = scene.host.settings_of("changing")
        assert settings is not None
        assert not settings.verify_jwt
        assert not scene.events(Event.RESTART_NEEDED)
        assert not scene.events(Event.FUNCTION_SHUTDOWN, "healthy"), "its settings are as they were"
        file.write("three", None)
        (said,) = await scene.until(Event.SETTINGS_REFUSED)
        assert "prot" in said["error"]
        file.write("four!", replace(first, db_url="postgresql://x/y", runtime=RuntimeSettings(port=1)))
        (needed,) = await scene.until(Event.RESTART_NEEDED)
        assert needed["settings"] == ["[db]", "[runtime] port"]
        await answers(scene, b" says one")


async def test_variables_that_take_their_time_hold_up_no_other_request(tmp_path: Path) -> None:
    """A file of variables on a pipe or a slow disk was read on the loop that serves everybody."""
    folder = tmp_path / "f"
    write(folder, "changing.py", SAYS % "one")
    slow, reading, over = threading.Event(), threading.Event(), threading.Event()

    def environment() -> dict[str, str]:
        if slow.is_set():
            reading.set()
            assert over.wait(GIVE_UP_S)
        return {}

    async with hosting(folder, environment=environment) as scene:
        await scene.call("healthy")
        slow.set()
        starting = asyncio.create_task(scene.call("changing"))
        assert await asyncio.to_thread(reading.wait, GIVE_UP_S)
        assert (await scene.call("healthy")).status == 200
        over.set()
        assert (await starting).body == b" says one"


async def test_a_part_of_the_host_that_has_failed_for_good_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that its process can end: without the supervisor no limit holds and no worker is started again."""

    async def broken(_: Supervisor) -> bool:
        raise OSError("no file is left")

    monkeypatch.setattr(Supervisor, "run_once", broken)
    monkeypatch.setattr("postmill.service.service.MAX_FRUITLESS", 1)
    async with hosting(tmp_path / "f") as scene:
        pass
    told: asyncio.Future[Service] = asyncio.get_running_loop().create_future()
    scene.host.on_giving_up.append(told.set_result)
    await scene.host.start()
    async with asyncio.timeout(GIVE_UP_S):
        service = await told
    assert "no file is left" in str(service.trouble)
    await scene.host.stop()
