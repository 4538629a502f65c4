"""Secrets that functions get as environment variables, kept in ``.postmill/secrets.json`` (mode 0600).

Shows names and digests. Only the start of a function gets the values.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from postmill.auth import private_file
from postmill.model.errors import InvalidOption, NotFound
from postmill.model.option_rules import value_fault, variable_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FILE_NAME = "secrets.json"
RESERVED = ("SUPABASE_", "POSTMILL_", "SB_")
"""Names that begin so are the host's to set."""
_RESERVED_NAMES = frozenset({"PATH", "HOME", "PYTHONPATH", "PYTHONHOME", "LD_PRELOAD", "LD_LIBRARY_PATH"})


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What may be shown of a secret."""

    name: str
    digest: str
    """SHA-256 of the value, in hex: shows whether two projects hold the same value."""


class Secrets:
    """The secrets kept in one folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    def values(self) -> dict[str, str]:
        """Every secret by name. Raises ``Refused`` for a file that others can read."""
        return {name: str(value) for name, value in (private_file.read(self._path) or {}).items()}

    def fingerprints(self) -> list[Fingerprint]:
        """What there is, by name."""
        return [fingerprint(name, value) for name, value in sorted(self.values().items())]

    def set(self, given: Mapping[str, str]) -> None:
        """Keep ``given`` beside what is there. Raises :class:`InvalidOption` for a bad name; then nothing is
        kept.
        """
        for name, value in given.items():
            check(name, value)
        with private_file.turn(self._path.parent):
            private_file.write(self._path, self.values() | dict(given))

    def unset(self, names: Iterable[str]) -> None:
        """Forget them. Raises :class:`NotFound` when one is not there; then nothing is forgotten."""
        with private_file.turn(self._path.parent):
            kept = self.values()
            for name in names:
                if kept.pop(name, None) is None:
                    raise NotFound(
                        f"There is no secret {name}.", hint="postmill secrets list shows their names."
                    )
            private_file.write(self._path, kept)


def fingerprint(name: str, value: str) -> Fingerprint:
    """What may be shown of one secret."""
    return Fingerprint(name, sha256(value.encode(errors="surrogateescape")).hexdigest())


def check(name: str, value: str) -> None:
    """Raises :class:`InvalidOption` for a name that is no variable's or not the user's to set, and for a
    value that no environment can hold.
    """
    if fault := variable_fault(name, ""):
        raise InvalidOption(f"{name!r} can't name a secret.", why=fault)
    if name.upper().startswith(RESERVED) or name in _RESERVED_NAMES:
        raise InvalidOption(
            f"The name {name} is reserved.",
            why=f"The host sets {', '.join(f'{each}...' for each in RESERVED)} and the process's own itself.",
        )
    if fault := value_fault(value):
        hint = "Encode it, for example as base64."
        raise InvalidOption(f"The value of {name} {fault}.", hint=hint)
