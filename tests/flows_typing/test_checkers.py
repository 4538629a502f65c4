"""The types of flows, as mypy and pyright see them, both at their strictest: what is right pleases both, and
each planted mistake is found by both.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
RIGHT, WRONG = PROGRAMS / "shop.py", PROGRAMS / "mistakes.py"
MYPY_LINE = re.compile(r"(?P<file>\S+?):(?P<line>\d+): error: (?P<text>.*)")


Found: TypeAlias = dict[str, dict[int, str]]
"""What a checker says, by file and line."""


def mypy() -> Found:
    """What mypy finds."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(WRONG)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    found: Found = {}
    for match in MYPY_LINE.finditer(done.stdout):
        found.setdefault(Path(match["file"]).name, {})[int(match["line"])] = match["text"]
    return found


def pyright() -> Found:
    """What pyright finds; the programs themselves ask it to be strict."""
    if find_spec("pyright") is None:
        pytest.skip("pyright is not installed: pip install --group test")
    options = ["--outputjson", "--pythonpath", sys.executable, "--pythonversion", "3.11"]
    command = [sys.executable, "-m", "pyright", *options, str(RIGHT), str(WRONG)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    found: Found = {}
    for told in json.loads(done.stdout)["generalDiagnostics"]:
        found.setdefault(Path(told["file"]).name, {})[told["range"]["start"]["line"] + 1] = told["message"]
    return found


@pytest.fixture(scope="module", params=["mypy", "pyright"])
def found(request: pytest.FixtureRequest) -> Found:
    """What one of the checkers says of both programs."""
    return mypy() if request.param == "mypy" else pyright()


def test_what_is_right_pleases_the_checker(found: Found) -> None:
    assert found.get(RIGHT.name, {}) == {}


def test_each_mistake_is_found_and_nothing_else(found: Found) -> None:
    lines = WRONG.read_text(encoding="utf-8").splitlines()
    planted = {place for place, line in enumerate(lines, 1) if "# wrong: " in line}
    told = found.get(WRONG.name, {})
    assert {place: lines[place - 1] for place in planted - told.keys()} == {}
    assert {place: text for place, text in told.items() if place not in planted} == {}
    assert len(planted) > 40
