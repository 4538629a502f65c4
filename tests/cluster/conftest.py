"""One Ray node for the tests of ``postmill[ray]``. ``make test-ray`` runs them; without Ray they are left
out.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster.ray_node import RayNode

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

collect_ignore_glob = [] if find_spec("ray") else ["test_*.py"]


@pytest.fixture(scope="session")
def _shared_node() -> Iterator[RayNode]:
    with RayNode() as node:
        yield node


@pytest.fixture
def ray_node(_shared_node: RayNode, monkeypatch: pytest.MonkeyPatch) -> RayNode:
    """The node of the whole run, which the environment names. No test hurts it."""
    return named(_shared_node, monkeypatch)


@pytest.fixture
def own_node(monkeypatch: pytest.MonkeyPatch) -> Iterator[RayNode]:
    """A node of this test's own, to be hurt."""
    with RayNode() as node:
        yield named(node, monkeypatch)


def named(node: RayNode, monkeypatch: pytest.MonkeyPatch) -> RayNode:
    """Have the environment name the node, and tasks find the modules of the tests."""
    monkeypatch.syspath_prepend(str(ROOT))
    for name, value in node.environment.items():
        monkeypatch.setenv(name, value)
    return node
