"""Where a project's keys come from: the environment, else the file ``.postmill/keys.json`` (mode 0600)."""

from __future__ import annotations

import time
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING

from postmill.auth import private_file
from postmill.auth.keys import ProjectKeys, make
from postmill.model.errors import NotFound, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE_NAME = "keys.json"
ENVIRONMENT = {
    "jwt_secret": "POSTMILL_JWT_SECRET",
    "anon": "POSTMILL_ANON_KEY",
    "service_role": "POSTMILL_SERVICE_ROLE_KEY",
    "publishable": "POSTMILL_PUBLISHABLE_KEY",
    "secret": "POSTMILL_SECRET_KEY",
}
"""The variable of each key. The secret alone is enough: what is not given is made for this run."""


def load(folder: Path, environ: Mapping[str, str]) -> ProjectKeys | None:
    """The keys that a user made: given in the environment, or kept in ``folder``. None when there are none.

    Raises :class:`Refused` for a file that can't be trusted, ``InvalidOption`` for a secret too short.
    """
    given = {name: environ[variable] for name, variable in ENVIRONMENT.items() if environ.get(variable)}
    kept = _read(folder / FILE_NAME)
    if "jwt_secret" in given and (kept is None or given["jwt_secret"] != kept.jwt_secret):
        kept = make(time.time(), given["jwt_secret"])  # tokens signed with another secret are worth nothing
    if kept is None:
        _refuse_half(given)
        return None
    return replace(kept, **given)


def create(folder: Path) -> ProjectKeys:
    """New keys in ``folder``. Raises :class:`Refused` when there are keys already."""
    path = folder / FILE_NAME
    with private_file.turn(folder):
        if path.exists() or path.is_symlink():
            raise Refused(f"{path} is there already.", why="Programs that use the old keys would be refused.")
        keys = make(time.time())
        private_file.write(path, asdict(keys))
    return keys


def load_or_create(folder: Path, environ: Mapping[str, str]) -> ProjectKeys:
    """As :func:`load`, and new keys where there are none. Two processes that come at once get the same."""
    found = load(folder, environ)
    if found is not None:
        return found
    try:
        return create(folder)
    except Refused:
        found = load(folder, environ)
        if found is None:
            raise
        return found


def _refuse_half(given: Mapping[str, str]) -> None:
    if given:
        names = ", ".join(ENVIRONMENT[name] for name in given)
        raise NotFound(
            f"{names} {'is' if len(given) == 1 else 'are'} set without {ENVIRONMENT['jwt_secret']}.",
            why="The other keys can't be made without the secret that signs them.",
            hint="Set it too, or run postmill init.",
        )


def _read(path: Path) -> ProjectKeys | None:
    content = private_file.read(path)
    if content is None:
        return None
    names = [each.name for each in fields(ProjectKeys)]
    if not all(isinstance(content.get(name), str) and content[name] for name in names):
        raise Refused(
            f"{path} can't be used.", why=f"It must hold {', '.join(names)}.", hint="Restore or remove it."
        )
    return ProjectKeys(**{name: content[name] for name in names})
