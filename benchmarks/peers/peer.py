"""What is known of each system before it runs: ``peers.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One system: its driver, its environment, and a query that says whether anything is unfinished."""

    name: str
    title: str
    driver: str
    unfinished: str
    messages: int | None = None
    """Messages of a round; without it nothing is measured but runs of flows."""
    runs: int = 0
    """Short runs of a round, if it has flows."""
    steps_of_a_run: int = 0
    brings_pgmq: bool = False
    """Whether Postmill installs itself first, for a system that needs pgmq's functions."""
    limited_messages: int | None = None
    """Messages of a round with limits, where that is much slower than one without."""
    requirements: str | None = None
    needs_python: str | None = None
    """The oldest Python that will do, where that is newer than Postmill's own."""


def all_peers() -> dict[str, Peer]:
    """Every peer by its name, in the order of the file."""
    found = tomllib.loads((HERE / "peers.toml").read_text())
    return {name: Peer(name=name, **values) for name, values in found.items()}
