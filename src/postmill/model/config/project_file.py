"""``postmill.toml``: its name, and the check of one of its tables. Pure: the file is read elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.model.errors import InvalidOption
from postmill.model.option_rules import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

FILE_NAME = "postmill.toml"
REFERENCE = "docs/reference/configuration.md"
"""The page that lists every name in the file."""
_SHOWN: dict[Any, str] = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    dict: "a table",
    list: "a list of strings",
}


def check_table(name: str, table: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Refuse a key that is not ``known``, and a value of another type than the one that is known for the key.

    Raises :class:`InvalidOption` with the nearest known key.
    """
    for key, value in table.items():
        if key not in known:
            raise unknown_name(f"{key} in [{name}]", key, known)
        wanted = known[key]
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            raise wrong_type(f"{name}.{key}", wanted)


def unknown_name(shown: str, name: str, known: Collection[str]) -> InvalidOption:
    """The error for a name that the file can't have; ``shown`` says where it stands."""
    return InvalidOption(
        f"{FILE_NAME} has an unknown name: {shown}.",
        why=f"Known here: {', '.join(known)}.",
        hint=did_you_mean(name, known) or f"Remove it, or see {REFERENCE}.",
    )


def wrong_type(name: str, wanted: Any) -> InvalidOption:
    """The error for a value of another type than ``wanted``."""
    return InvalidOption(
        f"{name} in {FILE_NAME} has a value of the wrong type.",
        why=f"It must be {_SHOWN.get(wanted, 'a number')}.",
        hint=f"See {REFERENCE}.",
    )
