"""``postmill doctor`` asks the cluster as a worker would."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.cli import discover, ray_check

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.cluster.ray_node import RayNode

WORKERS = """
from postmill import worker

@worker(queue="small", executor="ray", resources={"num_cpus": 1})
def small(job: dict) -> None: ...

@worker(queue="large", executor="ray", resources={"num_cpus": 64})
def large(job: dict) -> None: ...

@worker(queue="here")
def here(job: dict) -> None: ...
"""
STEPS = """
from postmill import step

@step(executor="ray", resources={"lasers": 1})
def fit(folds: int) -> float: ...
"""


def test_each_worker_and_step_on_ray_has_a_finding(
    ray_node: RayNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work.py").write_text(WORKERS, encoding="utf-8")
    (tmp_path / "steps.py").write_text(STEPS, encoding="utf-8")
    needs = discover.cluster_needs(tmp_path)
    found = [(each.status, each.found) for each in ray_check.findings(needs)]
    assert found == [
        ("pass", "work:small: the cluster has what its tasks need"),
        ("warn", "work:large: no machine of the cluster has 64 CPU (the most that one machine has: 2)"),
        ("warn", "steps:fit: no machine of the cluster has 1 lasers (the most that one machine has: 0)"),
    ]
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    refused = next(ray_check.findings(needs))
    assert (refused.status, refused.check) == ("fail", "ray")
    assert "does not accept this worker's token" in refused.found
    assert "RAY_AUTH_TOKEN" in refused.fix
