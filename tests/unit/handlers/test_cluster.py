"""``executor="ray"`` where Ray is not installed: what can be said, sent and refused without it."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from postmill import Context, Ctx, Flow, RemoteContext, step, worker, workflow
from postmill.cli import discover, ray_check
from postmill.flows.running.handlers import together
from postmill.handlers.cluster.driver import driver_for
from postmill.handlers.cluster.driver_process import Heard
from postmill.handlers.cluster.orders import Order, Said
from postmill.model.errors import InvalidHandler, InvalidOption, Refused
from postmill.service.events import Events

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
from postmill import RemoteContext, worker

@worker(queue="train", executor="ray", resources={"num_cpus": 4})
def train(job: dict, task: RemoteContext) -> dict: ...

@train.finish
async def record(job: dict, result: dict) -> None: ...

"""
WITHOUT_RAY = """
import sys
import postmill.cli.main, postmill.app, postmill.engine.engine
import postmill.handlers.cluster.remote_task, training
print(sorted(name for name in sys.modules if name.partition(".")[0] == "ray"))
"""


def train(job: dict[str, int], task: RemoteContext) -> dict[str, int]:
    task.progress(0.5)
    return job


def train_a_step(task: RemoteContext) -> None: ...


@step(executor="ray")
def train_in_run() -> None: ...


@workflow(name="also_trains", queue="trains")
async def trains(ctx: Ctx) -> None: ...


def test_nothing_of_ray_is_imported_by_a_worker_or_its_handlers(tmp_path: Path) -> None:
    (tmp_path / "training.py").write_text(MODULE, encoding="utf-8")
    command = [sys.executable, "-c", WITHOUT_RAY]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_a_worker_says_what_to_install() -> None:
    handler = worker(executor="ray")(train)
    assert handler.backend is not None
    with pytest.raises(Refused, match=r"pip install 'postmill\[ray\]'"):
        handler.backend(Events())
    flow = Flow("trains", input=dict[str, int])
    flow.step(executor="ray")(train_a_step)
    (both,) = together([flow.handler(), trains.handler()])  # one queue, and one driver
    for each in (flow.handler(), trains.handler(), both):
        assert each.backend is not None
        with pytest.raises(Refused, match=r"pip install 'postmill\[ray\]'"):
            each.backend(Events())


@pytest.mark.parametrize("address", ["", "local", "ray://head:10001"])
def test_an_address_that_names_no_cluster_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postmill.handlers.cluster.driver.find_spec", lambda _: object())
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(InvalidOption, match="RAY_ADDRESS"):
        driver_for([], Events())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"resources": {"num_cpus": 1}}, "resources is given, and executor='inline'"),
        ({"start_timeout": 5}, "start_timeout is given"),
        ({"executor": "process", "cancel_grace": 5}, "cancel_grace is given"),
        ({"executor": "ray", "batch": 5}, "each message as a task of its own"),
        ({"executor": "ray", "resources": ["num_cpus"]}, "is no dict"),
        ({"executor": "ray", "resources": {"num_gpus": -1}}, r"resources\['num_gpus'\]=-1"),
        ({"executor": "ray", "resources": {"num_gpus": "2"}}, r"resources\['num_gpus'\]='2'"),
        ({"executor": "ray", "start_timeout": 0}, "start_timeout=0"),
        ({"executor": "ray", "cancel_grace": "soon"}, "is not a duration"),
    ],
)
def test_options_that_no_task_could_follow_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidOption, match=said):
        worker(**options)


def test_a_function_without_a_name_is_refused() -> None:
    with pytest.raises(InvalidHandler, match="can't be run on a cluster"):
        worker(executor="ray")(lambda payload: payload)


def test_finish_is_refused_where_nothing_would_call_it() -> None:
    async def record(job: dict[str, int], result: int, ctx: Context) -> None: ...

    with pytest.raises(InvalidHandler, match="executor='ray'"):
        worker(executor="inline")(train_here).finish(record)
    handler = worker(executor="ray")(train)
    assert handler.finish(record) is record
    with pytest.raises(InvalidHandler, match="a finish already"):
        handler.finish(record)


def test_finish_is_refused_when_it_can_not_be_called() -> None:
    async def one(job: dict[str, int]) -> None: ...

    for function, said in ((train, "no async def"), (one, "takes 1 parameters")):
        with pytest.raises(InvalidHandler, match=said):
            worker(executor="ray")(train).finish(function)


def test_what_a_task_says_is_told_to_its_worker() -> None:
    said: list[Said] = []
    task = RemoteContext(Order(7, "m:f", "{}", "tasks", 1, 2, 60.0), said.append)
    task.progress(0.25, "a quarter")
    task.log.warning("only %s left", 3)
    assert [(each.call, each.what, each.text, each.number) for each in said] == [
        (7, "progress", "a quarter", 0.25),
        (7, "log", "only 3 left", 30.0),
    ]
    assert (task.queue, task.msg_id, task.attempt) == ("tasks", 1, 2)
    assert task.deadline is not None
    assert 0 < task.deadline <= 60
    with pytest.raises(InvalidOption, match="fraction"):
        task.progress(2)


def train_here(job: dict[str, int]) -> dict[str, int]:
    return job


def test_what_a_task_says_is_passed_on_in_its_order() -> None:
    heard = Heard()
    assert heard.take(2, b"second") == []
    assert heard.take(1, b"first") == [b"first", b"second"]
    assert heard.take(5, b"fifth") == []
    assert heard.take(4, b"fourth") == []
    assert (heard.last, heard.rest()) == (2, [b"fourth", b"fifth"])  # the third never comes


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_doctor_does_not_ask_for_a_cluster_where_ray_is_not_installed(tmp_path: Path) -> None:
    """One machine of a project has the package, and doctor failed on all the others."""
    (tmp_path / "work.py").write_text(
        "from postmill import worker\n"
        '@worker(executor="ray", resources={"num_gpus": 1})\n'
        "def train(job): ...\n"
        '@worker(queue="here")\n'
        "def here(job): ...\n",
        encoding="utf-8",
    )
    (found,) = ray_check.findings(discover.cluster_needs(tmp_path))
    assert (found.check, found.status, found.fix) == ("ray", "pass", "")
    assert found.found.startswith("work:train: ")
