"""A generator that was preloaded drew the same numbers in every isolate."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

import postmill
from postmill.isolate import loading
from postmill.isolate.lifetime import lifetime

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a function; what loading it changes is put back."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(lifetime, "forked", [])
    (tmp_path / "functions").mkdir()
    path = tmp_path / "functions" / "answers.py"
    path.write_text("def handler(): return {}")
    return path


def load(path: Path) -> loading.Entry:
    try:
        return loading.load(path, path.parent)
    finally:
        for name in ("functions", "functions.answers"):
            sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["numpy.random", "torch"])
def test_known_generators_are_seeded_anew(name: str, function: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeded: list[str] = []
    module = ModuleType(name)
    module.seed = lambda: seeded.append(name)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, name, module)
    load(function)
    assert seeded == [name]


def test_a_listener_is_called_before_the_function_is_loaded(function: Path) -> None:
    loaded: list[bool] = []
    postmill.after_fork(lambda: loaded.append("functions.answers" in sys.modules))
    load(function)
    assert loaded == [False]


def test_what_a_listener_raises_fails_the_start(function: Path) -> None:
    @postmill.after_fork
    def broken() -> None:
        raise ValueError("no new seed")

    with pytest.raises(loading.BootError, match="no new seed"):
        load(function)
