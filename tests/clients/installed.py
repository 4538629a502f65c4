"""Other people's clients that `make test-deps` has installed, and how a script of Node.js finds them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

CLIENTS = Path(os.environ.get("POSTMILL_TEST_CLIENTS", Path(sys.prefix) / "clients"))


def found(path: Path, what: str) -> Path:
    """``path``; skips the test when it is not there, but never in CI."""
    if not path.exists():
        reason = f"{what} is not installed: make test-deps"
        assert not os.environ.get("CI"), reason
        pytest.skip(reason)
    return path


def node(package: str) -> Path:
    """Node.js, for a script that imports ``package``. Skips the test as :func:`found` does."""
    found(CLIENTS / "node" / "node_modules" / package, package)
    return found(Path(shutil.which("node") or "/nonexistent"), "Node.js")


def environment(**settings: str) -> dict[str, str]:
    """All that a client's script is told by its environment: where Node's packages are, and ``settings``."""
    return {
        "CLIENTS": str(CLIENTS / "node"),
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        **settings,
    }
