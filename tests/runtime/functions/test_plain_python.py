"""What works in a plain Python process works in an isolate: imports, clocks, random numbers, last words, and
errors that are hard to write down.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import orjson
import pytest

from postmill.model.events import Event
from postmill.model.functions.failures import FunctionFailure, HandlerRaised
from tests.runtime.functions.scene import GIVE_UP_S, hosting

if TYPE_CHECKING:
    from pathlib import Path


def project(folder: Path, **files: str) -> Path:
    """Files of a project by path, with ``__`` for a slash; returns its folder of functions."""
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "functions"


async def test_a_folders_main_imports_its_neighbours_and_the_project(tmp_path: Path) -> None:
    """Relative imports failed: the file was no part of a package."""
    folder = project(
        tmp_path,
        shop__prices="PRICE = 3",
        functions__shared="VAT = 2",
        functions__pay__util="NAME = 'pay'",
        functions__pay__main="from ..shared import VAT\nfrom .util import NAME\n"
        "from shop.prices import PRICE\n"
        "def handler(): return [NAME, PRICE, VAT]",
        functions__flat="from .shared import VAT\nimport shared\ndef handler(): return [VAT, shared.VAT]",
    )
    async with hosting(folder) as scene:
        assert orjson.loads((await scene.call("pay")).body) == ["pay", 3, 2]
        assert orjson.loads((await scene.call("flat")).body) == [2, 2]


@pytest.mark.parametrize("name", ["email", "queue", "json"])
async def test_a_function_may_be_called_like_a_module_of_python(tmp_path: Path, name: str) -> None:
    folder = project(
        tmp_path,
        **{
            f"functions__{name}__near": "HERE = 1",
            f"functions__{name}__main": f"import {name}\nfrom .near import HERE\n"
            f"def handler(): return [HERE, {name}.__file__.startswith({str(tmp_path)!r})]",
        },
    )
    async with hosting(folder) as scene:
        assert orjson.loads((await scene.call(name)).body) == [1, False]


async def test_a_folder_called_like_a_module_of_python(tmp_path: Path) -> None:
    """``code.hello`` would be looked for in Python's own module ``code``."""
    project(
        tmp_path, code__near="HERE = 1", code__hello="from .near import HERE\ndef handler(): return [HERE]"
    )
    async with hosting(tmp_path / "code") as scene:
        assert (await scene.call("hello")).body == b"[1]"


async def test_the_environment_says_where_modules_are_and_what_time_it_is(tmp_path: Path) -> None:
    """``TZ`` was there and did nothing; ``PYTHONPATH`` as well."""
    folder = project(
        tmp_path,
        lib__own_lib="ANSWER = 42",
        functions__here="import own_lib, time\ndef handler(): return [own_lib.ANSWER, time.tzname[0]]",
    )
    environment = {"TZ": "Asia/Tokyo", "PYTHONPATH": str(tmp_path / "lib")}
    async with hosting(folder, settings={"here": {"env": environment}}) as scene:
        assert orjson.loads((await scene.call("here")).body) == [42, "JST"]


async def test_atexit_runs_at_a_planned_end(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    folder = project(
        tmp_path,
        functions__ends="import atexit, pathlib, postmill\n"
        f"marks = pathlib.Path({str(marks)!r})\n"
        "def say(word): marks.open('a').write(word)\n"
        "atexit.register(say, 'atexit ')\npostmill.on_unload(lambda: say('unload '))\n"
        "def handler(): return {}",
    )
    async with hosting(folder) as scene:
        assert (await scene.call("ends")).status == 200
    assert marks.read_text() == "unload atexit "


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("raise Speechless", "Speechless: (its text can't be shown)"),
        (r"open(b'/no/caf\xe9'.decode('utf-8', 'surrogateescape'))", r"\udce9"),
    ],
)
async def test_an_error_that_is_hard_to_write_down_has_its_line(tmp_path: Path, line: str, said: str) -> None:
    """It left a 500 and nothing in the log."""
    folder = project(
        tmp_path,
        functions__odd="class Speechless(Exception):\n    def __str__(self): raise RuntimeError\n"
        f"async def handler(request): {line}",
    )
    async with hosting(folder) as scene:
        with pytest.raises(HandlerRaised):
            await scene.call("odd")
        async with asyncio.timeout(GIVE_UP_S):
            [fields] = await scene.until(Event.FUNCTION_UNCAUGHT, "odd")
    assert said in fields["error"]


async def test_basic_config_works(tmp_path: Path) -> None:
    """It did nothing: the root logger had a handler already."""
    folder = project(
        tmp_path,
        functions__logs="import logging\nlogging.basicConfig(level=logging.DEBUG, format='FMT %(message)s')\n"
        "def handler():\n    logging.getLogger('app').debug('fine')\n    return {}",
    )
    async with hosting(folder) as scene:
        await scene.call("logs")
        async with asyncio.timeout(GIVE_UP_S):
            [fields] = await scene.until(Event.FUNCTION_LOG, "logs")
    assert fields["line"] == "FMT fine"


async def test_last_words_without_an_end_of_line_are_heard(tmp_path: Path) -> None:
    folder = project(
        tmp_path,
        functions__quits="import os\ndef handler():\n    print('last words', end='')\n    os._exit(3)",
    )
    async with hosting(folder) as scene:
        with suppress(FunctionFailure):
            await scene.call("quits")
        async with asyncio.timeout(GIVE_UP_S):
            [fields] = await scene.until(Event.FUNCTION_LOG, "quits")
    assert fields["line"] == "last words"
