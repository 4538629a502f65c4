"""Public keys of whoever signs tokens for this project: a JSON Web Key Set from a file or an HTTPS address.

Keeps RSA and EC keys only: a symmetric key in a published set would be everybody's.
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
"""How long an address may take until it answers, and then until its answer is whole."""
MOST_BYTES = 1024 * 1024
_LOOPBACK = ("http://127.0.0.1:", "http://localhost:", "http://[::1]:")


def fetch(source: str, base: Path) -> tuple[jwt.PyJWK, ...]:
    """The keys at ``source``, a path (relative to ``base``) or an ``https://`` address. Blocks, at most a few
    times :data:`TIMEOUT_S`.

    Raises :class:`InvalidOption` when it can't be had or holds no key of a kind we take.
    """
    try:
        keys = parse(_read(source, base))
    except (OSError, ValueError, HTTPException) as error:
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
    """Raises ``ValueError`` for an address that somebody on the way could answer for."""
    if not address.startswith(("https://", *_LOOPBACK)):
        raise ValueError(f"{address}: an address must begin with https://")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """What holds for the address holds for the one that it leads to."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str) -> Any:
        _check(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_Redirects)
