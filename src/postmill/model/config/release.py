"""Which release of a program a process with workers is of, and whether it takes the place of older ones.
Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from postmill.model.errors import InvalidOption

Place: TypeAlias = Literal["nowhere", "here", "everywhere"]
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Raises :class:`InvalidOption` for a label that can't be part of a version."""

    label: str | None = None
    """What the program calls it, a tag or a commit; None where only Postmill's version counts."""
    replaces: Place = "nowhere"
    """Where workers of older releases drain once this process works: nowhere, on its own machine, or on all
    of them.
    """

    def __post_init__(self) -> None:
        if self.label is not None and not LABEL.fullmatch(self.label):
            raise InvalidOption(
                f"{self.label!r} can't be the name of a release.",
                why="It has up to 64 letters, digits, dots, hyphens and underscores, and begins with one of"
                " the first two.",
                hint="Give a tag or a commit: --release 2026-11-30.1",
            )

    def version(self, of_postmill: str) -> str:
        """The version that the workers are on record with: ``0.1.0+2026-11-30.1``."""
        return of_postmill if self.label is None else f"{of_postmill}+{self.label}"
