"""What `postmill worker run` says when a module can't be imported."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from postmill.handlers.loading import load, load_all
from postmill.model.errors import InvalidHandler, InvalidOption

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


def test_the_place_is_a_line_that_a_user_can_open(tmp_path: Path) -> None:
    """A variable that is not set was said to be missing in `<frozen os>`."""
    error = refusal(tmp_path / "unset.py", "import os\n\nos.environ['NOT_SET_ANYWHERE']\n")
    assert error.why == f"It was raised in {tmp_path / 'unset.py'}, line 3."
    assert error.hint.endswith(f"python {tmp_path / 'unset.py'}")


def test_a_file_that_the_module_opens_is_no_missing_module(tmp_path: Path) -> None:
    """A module that read a missing file was itself said to be missing."""
    error = refusal(tmp_path / "reader.py", f"open({str(tmp_path / 'prices.json')!r})\n")
    assert "prices.json" in error.what
    assert error.why == f"It was raised in {tmp_path / 'reader.py'}, line 1."
    with pytest.raises(InvalidHandler) as caught:
        load(f"{tmp_path / 'no_such_file.py'}:work")
    assert caught.value.what == f"There is no file {tmp_path / 'no_such_file.py'}."


def test_a_syntax_error_is_told_with_its_own_line(tmp_path: Path) -> None:
    """The line that was named was one of Python's own import machinery."""
    error = refusal(tmp_path / "slip.py", "work = 1\ndef (\n")
    assert error.why == f"It was raised in {tmp_path / 'slip.py'}, line 2."


def test_what_a_module_lacks_is_named(tmp_path: Path) -> None:
    """Where a library is missing, it is no use to check the name of one's own module."""
    error = refusal(tmp_path / "lacking.py", "\nimport no_such_library.part\n")
    assert "no module 'no_such_library'" in error.what
    assert error.why == f"{tmp_path / 'lacking.py'}, line 2, imports it."
    assert error.hint.endswith("pip install no_such_library")
    with pytest.raises(InvalidHandler) as caught:
        load("no_such_module:work")
    assert caught.value.hint.startswith("Check its name")


def test_a_worker_that_is_declared_wrongly_is_told_with_its_line(tmp_path: Path) -> None:
    source = "from postmill import worker\n\n@worker(queue='q', max_concurent=2)\ndef work(p): ...\n"
    path = tmp_path / "typo.py"
    path.write_text(source)
    with pytest.raises(InvalidOption) as caught:
        load(f"{path}:work")
    assert caught.value.why == f"It is in {path}, line 3."
    assert caught.value.hint == "Did you mean max_concurrent?"


def test_a_script_that_starts_an_edge_worker_is_only_imported(tmp_path: Path) -> None:
    """`worker run` ran it, on its own terms, before it had seen the worker that was asked for."""
    source = "from postmill import EdgeWorker, worker\n@worker\ndef work(p): ...\nEdgeWorker.start(print)\n"
    path = tmp_path / "both.py"
    path.write_text(source)
    assert load(f"{path}:work").name == "work"


def test_pytest_imports_such_a_script_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "started_at_import.py").write_text(
        "from postmill import EdgeWorker\nEdgeWorker.start(print)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert import_module("started_at_import").__name__ == "started_at_import"


def test_a_marker_in_the_module_is_no_flow(tmp_path: Path) -> None:
    """A marker has any attribute that it is asked for, ``handler`` too: it was taken for a flow."""
    flow = "from postmill import Flow\n\nsite = Flow('site', input=str)\nwork = site.input\n"
    error = refusal(tmp_path / "flows.py", flow)
    assert error.why == "It is a Marker."
    assert error.hint == "There are: site."


def test_a_flow_is_found_where_a_worker_is(tmp_path: Path) -> None:
    path = tmp_path / "flow_to_load.py"
    path.write_text(
        "from postmill.flows import Flow\n"
        "work = Flow('loaded', input=int, queue='elsewhere')\n"
        "@work.step\n"
        "async def first(n: int = work.input) -> int:\n"
        "    return n\n"
    )
    handler = load(f"{path}:work")
    assert (handler.name, handler.options.queue) == ("loaded", "elsewhere")
    with pytest.raises(InvalidHandler, match="no worker and no flow named 'other'") as caught:
        load(f"{path}:other")
    assert caught.value.hint == "There are: work."


ALL = """
from postmill import Flow, worker, workflow
from {other} import imported

@worker
async def first(payload): ...

@worker(queue="q")
async def second(payload): ...

again = second
graph = Flow("graph", input=dict)

@graph.step
async def only(given: dict = graph.input): ...

@workflow
async def durable(ctx): ...
"""


def test_without_a_name_all_that_a_file_defines_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, and nothing that it imports, as in `functions/`."""
    (tmp_path / "elsewhere_of_all.py").write_text(
        "from postmill import worker\n\n@worker\nasync def imported(payload): ...\n"
    )
    file = tmp_path / "all_of_it.py"
    file.write_text(ALL.format(other="elsewhere_of_all"))
    monkeypatch.syspath_prepend(str(tmp_path))
    for target in (str(file), "all_of_it"):
        assert [each.name for each in load_all(target)] == ["first", "second", "graph", "durable"]
    assert [each.name for each in load_all(f"{file}:second")] == ["second"]


def test_an_edge_worker_that_a_file_starts_is_one_of_it(tmp_path: Path) -> None:
    file = tmp_path / "edge_of_all.py"
    file.write_text(
        "from postmill import EdgeWorker\n\nasync def work(payload): ...\n\nEdgeWorker.start(work)\n"
    )
    asked = f"from postmill.handlers import load_all; print([each.name for each in load_all({str(file)!r})])"
    answer = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert answer.stdout == "['work']\n"


def test_a_file_without_workers_says_so(tmp_path: Path) -> None:
    file = tmp_path / "nothing_of_all.py"
    file.write_text("from postmill import worker\n")
    with pytest.raises(InvalidHandler, match="defines no worker and no flow"):
        load_all(str(file))
