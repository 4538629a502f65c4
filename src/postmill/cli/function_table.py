"""Takes the tables of one function out of ``postmill.toml``, and leaves every other byte of it as it is.

The lines of its tables go, and the result is read and compared: unless it says exactly the same about
everything else and nothing about the function, the file stays as it was. So a file that says it in another
way (an inline table, a dotted key) is never changed.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from postmill.auth import private_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_HEADER = re.compile(r"^\s*\[{1,2}(?P<name>[^\[\]]+)\]{1,2}\s*(?:#.*)?$")


def remove(path: Path, function: str) -> bool:
    """Whether the tables of ``function`` are gone from the file now, or never were in it."""
    text = path.read_bytes().decode("utf-8")
    before = tomllib.loads(text.removeprefix("\ufeff"))
    if function not in before.get("functions", {}):
        return True
    changed = "".join(_without(text.splitlines(keepends=True), function))
    if _parsed(changed) != _expected(before, function):
        return False
    target = path.resolve()  # a link stays a link
    private_file.replace(target, changed.encode(), target.stat().st_mode & 0o7777)
    return True


def _without(lines: Sequence[str], function: str) -> Iterator[str]:
    inside = False
    for line in lines:
        if header := _HEADER.match(line):
            inside = _named(header["name"])[:2] == ["functions", function]
        if not inside:
            yield line


def _named(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return _without_empty(tomllib.loads(text.removeprefix("\ufeff")))
    except tomllib.TOMLDecodeError:
        return None


def _expected(before: dict[str, Any], function: str) -> dict[str, Any]:
    rest = {name: table for name, table in before["functions"].items() if name != function}
    return _without_empty({**before, "functions": rest})


def _without_empty(document: dict[str, Any]) -> dict[str, Any]:
    """A table of functions with nothing in it says the same as none."""
    return {name: value for name, value in document.items() if name != "functions" or value}
