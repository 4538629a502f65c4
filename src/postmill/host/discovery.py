"""Which functions a folder has, found by name alone: nothing is imported."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from postmill.model.errors import InvalidFunction
from postmill.model.functions.settings import FunctionSettings
from postmill.model.functions.slug import RULE
from postmill.model.functions.tables import defaults
from postmill.model.option_rules import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from postmill.model.functions.settings import RuntimeSettings

MAIN = "main.py"


@dataclass(frozen=True, slots=True)
class Source:
    """A function's file and its settings."""

    settings: FunctionSettings
    path: Path
    told: set[str] = field(default_factory=set, compare=False)
    """Why it could not be started, as far as the log has it with a traceback."""

    def concerns(self, changed: Path) -> bool:
        """Whether a changed file is this function's alone."""
        return changed == self.path or (self.path.name == MAIN and changed.is_relative_to(self.path.parent))


@dataclass(frozen=True, slots=True)
class Found:
    """What there is, each by slug."""

    sources: dict[str, Source] = field(default_factory=dict)
    faults: dict[str, InvalidFunction] = field(default_factory=dict)
    """Why a function that has a file or a table is not among the sources."""


def discover(
    folder: Path, runtime: RuntimeSettings, configured: Mapping[str, FunctionSettings]
) -> dict[str, Source]:
    """The functions of ``folder`` by slug, as :func:`survey` finds them.

    Raises :class:`InvalidFunction` for a name that is there twice, for a table without a file and for an
    entry that can't be read.
    """
    found = survey(folder, runtime, configured)
    for fault in found.faults.values():
        raise fault
    return found.sources


def survey(folder: Path, runtime: RuntimeSettings, configured: Mapping[str, FunctionSettings]) -> Found:
    """The functions of ``folder``: ``hello.py``, ``hello/main.py``, or where a table says. A fault of one
    leaves the others as they are.

    Names that begin with ``_`` or break the rule for slugs are shared code.
    """
    paths, faults = _by_convention(folder)
    for slug, settings in configured.items():
        if settings.entrypoint is not None:
            paths[slug] = folder / settings.entrypoint
            faults.pop(slug, None)
        if settings.enabled and slug not in faults and not _is_file(paths.get(slug)):
            faults[slug] = _without_file(slug, folder, paths)
    sources = {
        slug: Source(configured.get(slug) or defaults(slug, runtime), path)
        for slug, path in sorted(paths.items())
        if slug not in faults and _is_file(path)
    }
    return Found(sources, faults)


def concern_all(
    changed: Iterable[Path], sources: Sequence[Source], faults: Iterable[str], folder: Path
) -> bool:
    """Whether one of the changed files is shared: no function's own, nor one that a fault is about."""
    faulty = [Source(FunctionSettings(slug=slug), folder / slug / MAIN) for slug in faults]
    files = {folder / f"{slug}.py" for slug in faults}
    own = [*sources, *faulty]
    return any(path not in files and not any(each.concerns(path) for each in own) for path in changed)


def _by_convention(folder: Path) -> tuple[dict[str, Path], dict[str, InvalidFunction]]:
    found: dict[str, Path] = {}
    faults: dict[str, InvalidFunction] = {}
    for entry in _entries(folder):
        slug = entry.stem if entry.suffix == ".py" else entry.name
        try:
            slug, path = (entry.name, entry / MAIN) if entry.is_dir() else (entry.stem, entry)
            there = path.suffix == ".py" and bool(RULE.fullmatch(slug)) and path.is_file()
        except OSError as error:
            if RULE.fullmatch(slug):
                faults[slug] = InvalidFunction(f"The function {slug!r} can't be read.", why=f"{error}.")
            continue
        if there and slug in found:
            faults[slug] = _twice(slug, found[slug], path)
        elif there:
            found[slug] = path
    return found, faults


def _entries(folder: Path) -> list[Path]:
    """None of a folder that is not there: it may be made again."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InvalidFunction(f"The folder {folder} can't be read.", why=f"{error}.") from error


def _is_file(path: Path | None) -> bool:
    try:
        return path is not None and path.is_file()
    except OSError:
        return False


def _twice(slug: str, one: Path, other: Path) -> InvalidFunction:
    return InvalidFunction(
        f"There are two functions named {slug!r}.",
        why=f"Both {one} and {other} have that name.",
        hint="Rename one of them.",
    )


def _without_file(slug: str, folder: Path, paths: Mapping[str, Path]) -> InvalidFunction:
    near = did_you_mean(slug, [path for path in paths if path != slug])
    return InvalidFunction(
        f"postmill.toml has a table for the function {slug!r}, which has no file.",
        why=f"Neither {slug}.py nor {slug}/{MAIN} is in {folder}.",
        hint=near or "Name its file with entrypoint, or remove the table.",
    )
