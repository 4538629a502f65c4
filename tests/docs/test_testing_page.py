"""The examples of "Test your workers" are a test suite, and it passes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import postmill.testing

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "test-your-workers.md"
FILE = re.compile(r"^```(?:python|ini)\n# (?P<name>[\w.]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def test_its_files_are_a_test_suite_that_passes(tmp_path: Path) -> None:
    files = {each["name"]: each["text"] for each in FILE.finditer(PAGE.read_text(encoding="utf-8"))}
    assert {"conftest.py", "pytest.ini", "shop.py", "test_paying.py", "test_faults.py"} <= files.keys()
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "5 passed" in run.stdout


def test_every_name_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    internal = {"Account", "Ended", "Fault"}  # told by what they hold
    assert [name for name in postmill.testing.__all__ if name not in text and name not in internal] == []
