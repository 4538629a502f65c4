"""The log of the host on disk, ``.postmill/logs/functions.log``: one JSON object a line, so that another
terminal can read and follow it. Two files of 10 MiB at most are kept.
"""

from __future__ import annotations

import json
import logging
import os
import time
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING, Any, TextIO

from postmill.cli.log_lines import JsonLines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_BYTES = 10 * 1024 * 1024
LOOK_EVERY_S = 0.2


def path_in(project: Path) -> Path:
    """Where the log is."""
    return project / ".postmill" / "logs" / "functions.log"


def keep(project: Path) -> None:
    """Write the records of ``postmill`` there too, from now on. The files are their owner's alone."""
    path = path_in(project)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handler = RotatingFileHandler(path, maxBytes=MOST_BYTES, backupCount=1, encoding="utf-8", delay=True)
    handler.setFormatter(JsonLines())
    logging.getLogger("postmill").addHandler(handler)


def read(project: Path, *, function: str | None, last: int, follow: bool) -> Iterator[dict[str, Any]]:
    """The last lines, oldest first; with ``follow``, then those that come, for ever.

    Survives the file being rotated or not there yet. ``function`` leaves out the lines of all others.
    """
    path = path_in(project)
    lines = [line for line in _existing(path) if _wanted(line, function)]
    yield from lines[-last:] if last else ()
    if follow:
        yield from (line for line in _coming(path) if _wanted(line, function))


def _existing(path: Path) -> Iterator[dict[str, Any]]:
    for each in (path.with_name(path.name + ".1"), path):
        if each.exists():
            with each.open(encoding="utf-8", errors="replace") as file:
                yield from _parsed(file)


def _coming(path: Path) -> Iterator[dict[str, Any]]:
    """What is written from now on."""
    position = path.stat().st_size if path.exists() else 0
    while True:
        if not path.exists():
            time.sleep(LOOK_EVERY_S)
            continue
        with path.open(encoding="utf-8", errors="replace") as file:
            file.seek(position)
            yield from _until_rotated(path, file)
        position = 0


def _until_rotated(path: Path, file: TextIO) -> Iterator[dict[str, Any]]:
    pending = ""
    while True:
        text = file.readline()
        if text.endswith("\n"):
            yield from _parsed([pending + text])
            pending = ""
        elif text:
            pending += text
        elif not path.exists() or path.stat().st_ino != os.fstat(file.fileno()).st_ino:
            return
        else:
            time.sleep(LOOK_EVERY_S)


def _parsed(lines: list[str] | TextIO) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def _wanted(line: dict[str, Any], function: str | None) -> bool:
    return function is None or line.get("function") == function
