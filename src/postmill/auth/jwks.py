"""The public keys of the services that sign tokens for this project: a JSON Web Key Set from a file or an
HTTPS address.

Keeps the keys that verify RS256 or ES256 and nothing else: a symmetric key in a published set is no secret,
and a key that is published for another use proves nothing here (RFC 7517, sections 4.2 to 4.4).
"""

from __future__ import annotations

import json
import time
import urllib.request
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

import jwt

from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S = 5.0
"""How long the address may take until it answers, and then until the answer is whole, in seconds. 5 s: a key
set is a file of a few KiB; an address that is slower than that is treated as failed, and the keys that are
known stay in use.
"""
MOST_BYTES = 1024 * 1024
"""The largest key set that is read. 1 MiB is about a thousand RSA keys, and published sets have two to ten.
The limit keeps a wrong address from filling memory.
"""
_LOOPBACK = ("http://127.0.0.1:", "http://localhost:", "http://[::1]:")


def fetch(source: str, base: Path) -> tuple[jwt.PyJWK, ...]:
    """The keys at ``source``, a path (relative to ``base``) or an ``https://`` address. Blocks, at most a few
    times :data:`TIMEOUT_S`.

    Raises :class:`InvalidOption` when it can't be read or holds no key of a supported kind.
    """
    try:
        keys = parse(_read(source, base))
    except (OSError, ValueError, HTTPException) as error:
        raise InvalidOption(
            f"The key set {source} can't be used.", why=f"{type(error).__name__}: {error}."
        ) from error
    if not keys:
        raise InvalidOption(
            f"The key set {source} can't be used.",
            why="It has no key that verifies RS256 or ES256.",
            hint="Such a key is of the type RSA, or EC on P-256, and is not published for encryption.",
        )
    return keys


def parse(content: bytes) -> tuple[jwt.PyJWK, ...]:
    """The keys of a set that verify; others are left out. Raises ``ValueError`` when it is no set."""
    try:
        document = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    match document:
        case {"keys": [*entries]}:
            return tuple(key for key in map(_key, entries) if key is not None)
    raise ValueError("it is no JSON object with a list of keys")


def _key(entry: Any) -> jwt.PyJWK | None:
    algorithm = _algorithm(entry) if isinstance(entry, dict) else None
    if algorithm is None:
        return None
    try:
        return jwt.PyJWK({name: value for name, value in entry.items() if name != "d"}, algorithm)
    except Exception:  # the set was written elsewhere: one bad key must not spoil the others
        return None


def _algorithm(entry: dict[str, Any]) -> str | None:
    """The algorithm that a key verifies; None when it is not RS256 or ES256."""
    match entry:
        case {"kty": "RSA"}:
            found = "RS256"
        case {"kty": "EC", "crv": "P-256"}:
            found = "ES256"
        case _:
            return None
    operations = entry.get("key_ops", ["verify"])
    is_for_us = entry.get("use", "sig") == "sig" and entry.get("alg", found) == found
    return found if is_for_us and isinstance(operations, list) and "verify" in operations else None


def _read(source: str, base: Path) -> bytes:
    if "://" not in source:
        return (base / source).read_bytes()
    _check(source)
    with _OPENER.open(source, timeout=TIMEOUT_S) as answer:
        return _whole(answer, time.monotonic() + TIMEOUT_S)


def _whole(answer: Any, until: float) -> bytes:
    content = b""
    while piece := answer.read1(MOST_BYTES):
        content += piece
        if len(content) > MOST_BYTES:
            raise ValueError("larger than 1 MiB")
        if time.monotonic() > until:
            raise TimeoutError(f"it took longer than {TIMEOUT_S:g} s")
    return content


def _check(address: str) -> None:
    """Raises ``ValueError`` for an address without TLS: any machine on the way could answer it."""
    if not address.startswith(("https://", *_LOOPBACK)):
        raise ValueError(f"{address}: an address must begin with https://")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """The address that a redirect leads to is checked by the same rule."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str) -> Any:
        _check(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_Redirects)
