"""Values of the database as JSON text: what is answered, shown and edited has the digits that stand there.
Pure.
"""

from __future__ import annotations

from typing import Any

import msgspec

from postmill.db.tools.connect import ExactFloat

INDENT = 2
"""Spaces before each level of JSON in lines: a payload is nested three or four deep."""
ONE_LINE = 0
"""The indentation with which ``msgspec`` writes one line, with a space behind each comma and colon."""


def _with_digits(value: Any) -> msgspec.Raw:
    if isinstance(value, ExactFloat):
        return msgspec.Raw(value.digits.encode())
    raise TypeError(f"{type(value).__name__} is no JSON.")


encode = msgspec.json.Encoder(enc_hook=_with_digits).encode
"""As an answer has it: without spaces."""


def in_lines(value: Any) -> str:
    """As a person reads and edits it."""
    return msgspec.json.format(encode(value), indent=INDENT).decode()


def in_one_line(value: Any) -> str:
    """As a list shows it."""
    return msgspec.json.format(encode(value), indent=ONE_LINE).decode()
