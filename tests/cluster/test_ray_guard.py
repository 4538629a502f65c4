"""A node of the tests' own ends with them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from tests.cluster.conftest import ROOT
from tests.cluster.ray_guard import GIVE_UP_S, processes

TESTS = """
import json, sys, time
from tests.cluster.ray_node import RayNode

with RayNode() as node:
    print(json.dumps([str(node.folder), *node.sessions]), flush=True)
    time.sleep(3600)
"""


def test_a_node_ends_when_its_tests_are_killed() -> None:
    """Its raylets were left, and took a core each from all tests that came later."""
    tests = subprocess.Popen([sys.executable, "-c", TESTS], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert tests.stdout is not None
        folder, *sessions = json.loads(tests.stdout.readline())
        assert any("raylet" in command for command in processes(sessions).values())
    finally:
        tests.kill()
        tests.communicate()
    deadline = time.monotonic() + GIVE_UP_S
    while processes(sessions) or Path(folder).exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
