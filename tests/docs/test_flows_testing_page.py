"""The examples of "Test flows" are a test suite, and it passes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.docs.test_testing_page import FILE

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "test-flows.md"


def test_its_files_are_a_test_suite_that_passes(tmp_path: Path) -> None:
    files = {each["name"]: each["text"] for each in FILE.finditer(PAGE.read_text(encoding="utf-8"))}
    tests = {"test_packing.py", "test_checkout.py", "test_in_memory.py"}
    assert {"conftest.py", "pytest.ini", "shop.py", *tests} <= files.keys()
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
    assert "7 passed" in run.stdout
