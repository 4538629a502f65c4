"""Public keys of whoever signs tokens for this project: a JSON Web Key Set from a file or an HTTPS address.

Keeps RSA and EC keys only: a symmetric key in a published set would be everybody's.
"""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import jwt

from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S = 5.0
MOST_BYTES = 1024 * 1024
_LOOPBACK = ("http://127.0.0.1:", "http://localhost:", "http://[::1]:")


def fetch(source: str, base: Path) -> tuple[jwt.PyJWK, ...]:
    """The keys at ``source``, a path (relative to ``base``) or an ``https://`` address. Blocks: up to
    :data:`TIMEOUT_S` for an address.

    Raises :class:`InvalidOption` when it can't be had or holds no key of a kind we take.
    """
    try:
        keys = parse(_read(source, base))
    except (OSError, ValueError) as error:
        raise InvalidOption(
            f"The key set {source} can't be used.", why=f"{type(error).__name__}: {error}."
        ) from error
    if not keys:
        raise InvalidOption(f"The key set {source} can't be used.", why="It has no RSA or EC key.")
    return keys


def parse(content: bytes) -> tuple[jwt.PyJWK, ...]:
    """The RSA and EC keys of a set; others are left out. Raises ``ValueError`` when it is no set."""
    document = json.loads(content)
    match document:
        case {"keys": [*entries]}:
            return tuple(key for key in map(_key, entries) if key is not None)
    raise ValueError("it is no JSON object with a list of keys")


def _key(entry: Any) -> jwt.PyJWK | None:
    if not isinstance(entry, dict) or entry.get("kty") not in {"RSA", "EC"}:
        return None
    try:
        return jwt.PyJWK({name: value for name, value in entry.items() if name != "d"})
    except jwt.PyJWTError:
        return None


def _read(source: str, base: Path) -> bytes:
    if "://" not in source:
        return (base / source).read_bytes()
    if not source.startswith(("https://", *_LOOPBACK)):
        raise ValueError("an address must begin with https://")
    with urllib.request.urlopen(source, timeout=TIMEOUT_S) as answer:  # noqa: S310 - the scheme is checked
        content: bytes = answer.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError("larger than 1 MiB")
    return content
