"""Which functions a folder has, found by name alone: nothing is imported."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from postmill.model.errors import InvalidFunction
from postmill.model.function_slug import RULE
from postmill.model.function_tables import defaults

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from postmill.model.function_settings import FunctionSettings, RuntimeSettings

MAIN = "main.py"


@dataclass(frozen=True, slots=True)
class Source:
    """A function's file and its settings."""

    settings: FunctionSettings
    path: Path

    def concerns(self, changed: Path) -> bool:
        """Whether a changed file is this function's alone."""
        return changed == self.path or (self.path.name == MAIN and changed.is_relative_to(self.path.parent))


def discover(
    folder: Path, runtime: RuntimeSettings, configured: Mapping[str, FunctionSettings]
) -> dict[str, Source]:
    """The functions of ``folder`` by slug: ``hello.py``, ``hello/main.py``, or where a table says.

    Names that begin with ``_`` or break the rule for slugs are shared code. Raises :class:`InvalidFunction`
    for a name that is there twice, and for a table without a file.
    """
    paths = _by_convention(folder)
    for slug, settings in configured.items():
        if settings.entrypoint is not None:
            paths[slug] = folder / settings.entrypoint
        if settings.enabled and not (slug in paths and paths[slug].is_file()):
            raise _without_file(slug, folder, paths)
    return {
        slug: Source(configured.get(slug) or defaults(slug, runtime), path)
        for slug, path in sorted(paths.items())
        if path.is_file()
    }


def _by_convention(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        path = entry / MAIN if entry.is_dir() else entry
        slug = entry.name if entry.is_dir() else entry.stem
        if path.suffix != ".py" or not RULE.fullmatch(slug) or not path.is_file():
            continue
        if slug in found:
            raise InvalidFunction(
                f"There are two functions named {slug!r}.",
                why=f"Both {found[slug]} and {path} have that name.",
                hint="Rename one of them.",
            )
        found[slug] = path
    return found


def _without_file(slug: str, folder: Path, paths: Mapping[str, Path]) -> InvalidFunction:
    near = get_close_matches(slug, list(paths), n=1)
    return InvalidFunction(
        f"postmill.toml has a table for the function {slug!r}, which has no file.",
        why=f"Neither {slug}.py nor {slug}/{MAIN} is in {folder}.",
        hint=f"Did you mean {near[0]}?" if near else "Name its file with entrypoint, or remove the table.",
    )
