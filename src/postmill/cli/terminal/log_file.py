"""The log of the host on disk, ``.postmill/logs/functions.log``: one JSON object a line, so that another
terminal can read and follow it. Two files of 10 MiB at most are kept.
"""

from __future__ import annotations

import json
import logging
import os
import time
from contextlib import ExitStack, contextmanager
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING, Any, TextIO

from postmill.auth import private_file
from postmill.cli.terminal import streams
from postmill.cli.terminal.log_lines import JsonLines
from postmill.model.config.settings import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

MOST_BYTES = 10 * 1024 * 1024
"""Size at which the log file is replaced by a new one; one old file is kept. 10 MiB hold about 50,000 lines
of 200 bytes.
"""
LOOK_EVERY_S = 0.2
"""Seconds between two looks for new lines. 0.2 s: a person sees a line at once, and the command takes no
noticeable CPU.
"""


def path_in(project: Path) -> Path:
    """Where the log is."""
    return project / STATE_FOLDER / "logs" / "functions.log"


@contextmanager
def kept(project: Path) -> Iterator[None]:
    """While it lasts, the records of ``postmill`` are written to the file too. Only their owner can read the
    files.
    """
    path = path_in(project)
    private_file.make_folder(path.parent.parent)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handler = RotatingFileHandler(path, maxBytes=MOST_BYTES, backupCount=1, encoding="utf-8", delay=True)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("postmill")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


def read(
    project: Path, *, function: str | None, last: int, follow: bool
) -> Generator[dict[str, Any], None, None]:
    """The last lines, oldest first; with ``follow``, then those that come, for ever.

    Survives the file being rotated or not there yet. ``function`` leaves out the lines of all others.
    """
    path = path_in(project)
    with ExitStack() as opened:
        rotated, current = _opened(path.with_name(path.name + ".1")), _opened(path)
        there = []
        for file in (rotated, current):
            if file is not None:
                there += [line for line in _parsed(opened.enter_context(file)) if _wanted(line, function)]
        yield from there[-last:] if last else ()
        if follow:
            yield from (line for line in _coming(path, current) if _wanted(line, function))


def _opened(path: Path) -> TextIO | None:
    try:
        return path.open(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _coming(path: Path, file: TextIO | None) -> Iterator[dict[str, Any]]:
    """The lines that are written from now on: to ``file``, then to the files that take its place."""
    while True:
        if file is not None:
            with file:
                yield from _until_rotated(path, file)
        else:
            _rest()
        file = _opened(path)


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
            _rest()


def _rest() -> None:
    """Wait for new lines. Ends the command when the reader of its output has gone."""
    streams.check_reader()
    time.sleep(LOOK_EVERY_S)


def _parsed(lines: list[str] | TextIO) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            yield found


def _wanted(line: dict[str, Any], function: str | None) -> bool:
    return function is None or line.get("function") == function
