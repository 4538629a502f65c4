"""The rules that options follow wherever they are given, and the words for one that breaks a rule. Pure.

A worker's options, ``postmill.toml``, an address and the environment all ask here, so that a mistake is
told in the same words everywhere.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The question after a name that is not known; empty when no known name is near it."""
    near = get_close_matches(name, list(known), n=1)
    return f"Did you mean {near[0]}?" if near else ""


def one_of(name: str, value: object, choices: Collection[object]) -> None:
    """Refuse a value that is none of the choices."""
    if not any(value is choice or value == choice for choice in choices):
        raise not_a_choice(f"{name}={value!r} is not known.", value, choices)


def not_a_choice(what: str, value: object, choices: Collection[object]) -> InvalidOption:
    """The error for a value that is none of the choices; ``what`` says where it came from."""
    shown = [str(choice) for choice in choices]
    return InvalidOption(what, why=f"It is one of {', '.join(shown)}.", hint=did_you_mean(str(value), shown))


def whole_number(name: str, value: object, low: int, high: int) -> None:
    """Refuse what is not a whole number from ``low`` to ``high``; True and False are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise out_of_range(name, value, f"It is a whole number from {low} to {high}.")


def out_of_range(name: str, value: object, rule: str) -> InvalidOption:
    """The error for a value that is too small or too large; ``rule`` is a sentence."""
    return InvalidOption(f"{name}={value!r} is out of range.", why=rule)


def variable_fault(name: str, value: str) -> str:
    """Why an environment can't hold a variable, as a sentence; empty when it can."""
    if not _VARIABLE.fullmatch(name):
        return "A variable's name has letters, digits and _, and no digit comes first."
    fault = value_fault(value)
    return f"Its value {fault}." if fault else ""


def value_fault(value: str) -> str:
    """Why an environment can't hold a value, as the end of a sentence about it; empty when it can."""
    if "\0" in value:
        return "holds a NUL character, which no environment can hold"
    if any("\ud800" <= character <= "\udfff" for character in value):  # bytes that came as lone surrogates
        return "is not UTF-8, so functions could not read it as text"
    return ""
