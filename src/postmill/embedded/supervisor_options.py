"""What an opener tells the supervisor: the options it starts with, and the commands on its pipe."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

KEEP, RELEASE, STOP = b"k", b"r", b"s"
"""The commands, in this order: stay up without users; stop unless told to stay; stop."""


@dataclass(frozen=True)
class Options:
    """How to start a server. Paths are strings: this travels as JSON."""

    settings: dict[str, str] = field(default_factory=dict)
    throwaway: bool = False
    tcp: bool = False
    binaries: str | None = None
    system_folder: str = "/var/lib/postmill"

    def dumps(self) -> str:
        """As the supervisor reads it."""
        return json.dumps(asdict(self))
