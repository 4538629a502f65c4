"""Gives each peer an environment of its own: a virtual environment, or a folder of node modules.

Made once and used again while the pinned versions stay the same. Nothing is installed outside the cache.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.peers.peer import HERE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.peers.peer import Peer

REQUIREMENTS = HERE / "requirements"


class NotInstalled(Exception):
    """There is no environment for a peer here; the text says why."""


@dataclass(frozen=True, slots=True)
class Environment:
    """The command that runs the peer's driver, and the folder to run it in."""

    command: tuple[str, ...]
    folder: Path


def prepare(peer: Peer, cache: Path, pythons: Sequence[str]) -> Environment:
    """The peer's environment, installed if need be, with the first of ``pythons`` that is new enough.

    Raises :class:`NotInstalled`.
    """
    driver = str(HERE / "drivers" / peer.driver)
    if peer.requirements is None:
        return Environment((sys.executable, driver), HERE)
    requirements = REQUIREMENTS / peer.requirements
    folder = cache / requirements.stem
    is_node = requirements.suffix == ".json"
    made = folder / "made-from"
    if not made.exists() or made.read_text() != requirements.read_text():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if is_node:
            _install_node(folder, requirements)
        else:
            _install_python(folder, requirements, _new_enough(peer, pythons))
        shutil.copy(requirements, made)
    program = _node(folder) if is_node else str(folder / "bin" / "python")
    return Environment((program, driver), folder)


def _new_enough(peer: Peer, pythons: Sequence[str]) -> str:
    for python in pythons:
        if peer.needs_python is None or _version(python) >= _numbers(peer.needs_python):
            return python
    raise NotInstalled(f"{peer.title} needs Python {peer.needs_python}: give one with --python")


def _version(python: str) -> tuple[int, ...]:
    return _numbers(_run("-c", "import platform; print(platform.python_version())", program=python))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


def _install_python(folder: Path, requirements: Path, python: str) -> None:
    _run("-m", "venv", str(folder), program=python)
    _run("-m", "pip", "install", "-r", str(requirements), program=str(folder / "bin" / "python"))


def _install_node(folder: Path, requirements: Path) -> None:
    shutil.copy(requirements, folder / "package.json")
    _run("install", "--no-audit", "--no-fund", program="npm", folder=folder)


def _node(folder: Path) -> str:
    """The ``node`` that came with the packages, else the system's."""
    brought = folder / "node_modules" / ".bin" / "node"
    return str(brought) if brought.exists() else "node"


def _run(*arguments: str, program: str, folder: Path | None = None) -> str:
    """What the program said. Raises :class:`NotInstalled`."""
    try:
        done = subprocess.run([program, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotInstalled(f"{error}\n{getattr(error, 'stderr', '')}".strip()) from None
    return done.stdout
