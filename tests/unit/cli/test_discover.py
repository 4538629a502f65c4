"""Which workers `postmill dev` finds in a folder, without importing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from postmill.cli.discover import Problems, cluster_needs, targets
from postmill.model.errors import NotFound

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
raise SystemExit("imported")
import postmill
from postmill import worker
tasks = worker(queue="tasks")

@worker
def bare(page): ...

@worker(queue="a")
async def called(page): ...

@postmill.worker(queue="b")
async def qualified(page): ...

bound = worker(queue="c")(print)

@other.worker
def somebody_elses(page): ...

def nested():
    @worker
    def inner(page): ...
"""


def test_every_way_to_define_a_worker_is_found(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(SOURCE)
    found = targets(tmp_path / "jobs.py")
    assert sorted(target.name for target in found) == [
        "jobs:bare",
        "jobs:bound",
        "jobs:called",
        "jobs:qualified",
        "jobs:tasks",
    ]
    assert {target.root for target in found} == {tmp_path}


FLOWS = """
import postmill
from postmill import Flow, step, workflow
site = Flow("analyze_site", input=str)
other = postmill.Flow("other", input=str, queue="shared")

@site.step
async def fetch(url=site.input): ...

@step(timeout=3)
async def charge(order): ...

@workflow
async def checkout(ctx, order): ...

@workflow(queue="slow", deadline=60)
async def nightly(ctx): ...
"""


def test_flows_are_found_and_their_steps_are_none(tmp_path: Path) -> None:
    (tmp_path / "flows.py").write_text(FLOWS)
    assert {(target.name, target.queue) for target in targets(tmp_path)} == {
        ("flows:site", "analyze_site"),
        ("flows:other", "shared"),
        ("flows:checkout", "checkout"),
        ("flows:nightly", "slow"),
    }


def test_a_package_is_imported_from_its_root(tmp_path: Path) -> None:
    package = tmp_path / "shop" / "jobs"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    (package / "mail.py").write_text("from postmill import worker\n@worker\ndef send(x): ...\n")
    (target,) = targets(package)
    assert (target.name, target.root) == ("shop.jobs.mail:send", tmp_path)


def test_foreign_folders_and_broken_files_are_left_out(tmp_path: Path) -> None:
    source = "from postmill import worker\n@worker\ndef send(x): ...\n"
    for name in (".venv", "env", "tests", "__pycache__"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "jobs.py").write_text(source)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "broken.py").write_text(source + "def (")
    (tmp_path / "other.py").write_text(source.replace("postmill", "celery"))
    assert targets(tmp_path) == []


def test_a_file_that_may_have_workers_and_does_not_parse_is_told(tmp_path: Path) -> None:
    """`postmill dev` stopped the workers of a file with a slip of the keyboard, and said nothing."""
    (tmp_path / "broken.py").write_text("from postmill import worker\ndef (")
    (tmp_path / "other.py").write_text("def (")
    (tmp_path / ".#lock.py").symlink_to("nowhere")
    problems: Problems = {}
    assert targets(tmp_path, problems=problems) == []
    assert [(path.name, str(error)) for path, error in problems.items()] == [
        (
            "broken.py",
            "can't be read: invalid syntax (broken.py, line 2). Workers in it do not run until it can.",
        )
    ]


def test_a_project_inside_is_left_to_itself(tmp_path: Path) -> None:
    """In the wrong folder, the home folder say, `postmill dev` ran the workers of every project below it."""
    for name in ("own", "shop", "shop/jobs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "jobs.py").write_text("from postmill import worker\ntasks = worker()")
    (tmp_path / "shop" / "postmill.toml").touch()
    assert [target.root for target in targets(tmp_path)] == [tmp_path / "own"]
    assert len(targets(tmp_path / "shop")) == 2


def test_a_place_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        targets(tmp_path / "nowhere")


def test_a_method_that_is_decorated_is_told(tmp_path: Path) -> None:
    """It was not found, and nothing said so."""
    source = (
        "from postmill import worker\nclass Mail:\n    @worker(queue='mail')\n    def send(self, p): ...\n"
    )
    (tmp_path / "mail.py").write_text(source)
    problems: Problems = {}
    assert targets(tmp_path, problems=problems) == []
    assert "@worker on Mail.send, a method" in problems[tmp_path / "mail.py"]


def test_what_runs_on_ray_is_told_with_what_it_needs(tmp_path: Path) -> None:
    """Of single steps nothing was told before their worker started."""
    (tmp_path / "work.py").write_text("""
import postmill
from postmill import Flow, step, worker, workflow

@worker(executor="ray", resources={"num_gpus": 1})
def train(job): ...

@worker
def here(job): ...

films = Flow("films", executor="ray", resources={"num_cpus": 2})

@films.step
def as_its_flow(film=films.input): ...

@films.map(resources={"num_gpus": 4})
def rendered(scene=as_its_flow.each): ...

@films.step(executor="inline")
def told(scenes=rendered.out): ...

@postmill.step(executor="ray", resources=LARGE)
def unclear(folds): ...
""")
    (tmp_path / "steps.py").write_text("""
from postmill import step

@step(executor="ray", resources={"lasers": 1}, timeout=5)
async def fit(folds): ...

@step(timeout=5)
def stays(folds): ...
""")
    assert dict(cluster_needs(tmp_path)) == {
        "work:train": {"num_gpus": 1},
        "work:films": {"num_cpus": 2},
        "work:rendered": {"num_gpus": 4},
        "work:unclear": {},
        "steps:fit": {"lasers": 1},
    }
