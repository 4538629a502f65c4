"""What `postmill worker run` says when a module can't be imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from postmill.handlers.loading import load
from postmill.model.errors import InvalidHandler

if TYPE_CHECKING:
    from pathlib import Path


def refusal(path: Path, source: str) -> InvalidHandler:
    path.write_text(source)
    with pytest.raises(InvalidHandler) as caught:
        load(f"{path}:work")
    return caught.value


def test_a_module_that_ends_the_process_is_told(tmp_path: Path) -> None:
    """A script that calls `sys.exit()` at its end stopped the worker without a word."""
    error = refusal(tmp_path / "script.py", "import sys\n\nsys.exit(3)\n")
    assert error.what.endswith("SystemExit: 3.")
    assert error.why == f"It was raised in {tmp_path / 'script.py'}, line 3."


def test_a_syntax_error_is_told_with_its_own_line(tmp_path: Path) -> None:
    """The line that was named was one of Python's own import machinery."""
    error = refusal(tmp_path / "slip.py", "work = 1\ndef (\n")
    assert error.why == f"It was raised in {tmp_path / 'slip.py'}, line 2."


def test_what_a_module_lacks_is_named(tmp_path: Path) -> None:
    """Where a library is missing, it is no use to check the name of one's own module."""
    error = refusal(tmp_path / "lacking.py", "import no_such_library\n")
    assert error.hint is not None
    assert error.hint.startswith("It imports no_such_library")
    with pytest.raises(InvalidHandler) as caught:
        load("no_such_module:work")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("Check its name")
