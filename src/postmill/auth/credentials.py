"""What the headers of a request prove. Pure: headers, what is trusted and the time in, a verdict out.

Never raises, never logs, and compares keys in constant time. A request that it does not understand is
refused.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jwt

from postmill.auth.keys import ALGORITHM, ProjectKeys

if TYPE_CHECKING:
    from jwt.types import Options

Headers = Sequence[tuple[bytes, bytes]]

PUBLIC_KEY_ALGORITHMS = ("RS256", "ES256")
LONGEST_KEPT = 4096
"""Tokens of at most this many characters have their verdict remembered. 4,096: tokens of sign-in services
have 500 to 2,000, and the 1,024 that are remembered take at most 4 MiB.
"""
LEEWAY_S = 5.0
"""How far the signer's clock may be ahead of this machine's, in seconds. 5 s: clocks that are set over the
network differ by less than one, and a token that is taken 5 s too early does no harm.
"""
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_OWN_CHECKS: Options = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_sub": False,
    "verify_jti": False,
}
"""PyJWT checks the signature only. It would compare the times in a token with the machine's clock; here the
time is passed in.
"""


class Reason(StrEnum):
    """Why a request was refused: the ``code`` of its answer."""

    NO_AUTH_HEADER = "UNAUTHORIZED_NO_AUTH_HEADER"
    INVALID_JWT_FORMAT = "UNAUTHORIZED_INVALID_JWT_FORMAT"
    LEGACY_JWT = "UNAUTHORIZED_LEGACY_JWT"
    UNSUPPORTED_ALGORITHM = "UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM"


@dataclass(frozen=True, slots=True)
class Trusted:
    """The keys and secrets that the project trusts."""

    keys: ProjectKeys
    public_keys: tuple[jwt.PyJWK, ...] = ()
    known: tuple[tuple[bytes, Granted], ...] = field(init=False, repr=False, compare=False)
    """Each key that is sent unsigned, and what it proves."""

    def __post_init__(self) -> None:
        known = tuple((key.encode(), Granted(role)) for key, role in self.keys.roles())
        object.__setattr__(self, "known", known)


@dataclass(frozen=True, slots=True)
class Granted:
    """The request proves ``role``; ``claims`` are those of its token, empty for a plain key."""

    role: str
    claims: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Denied:
    """The request proves nothing."""

    reason: Reason
    unknown_key: bool = False
    """The token names a public key that is not among the known ones. It may have been published since."""


def authenticate(headers: Headers, trusted: Trusted, now_s: float) -> Granted | Denied:
    """The verdict on ``headers`` (names in lower case, as ASGI has them) at ``now_s``, seconds since 1970.

    A bearer token decides alone, also when it is bad and the ``apikey`` beside it is good: a user whose
    session has expired must not go on as an anonymous caller. Two different values of one header are refused.
    """
    try:
        return _authenticate(headers, trusted, now_s)
    except Exception:  # the parsers may raise anything on a hostile text: it is refused
        return Denied(Reason.INVALID_JWT_FORMAT)


def _authenticate(headers: Headers, trusted: Trusted, now_s: float) -> Granted | Denied:
    authorization, api_key = _only(headers, b"authorization"), _only(headers, b"apikey")
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return _bearer(token.strip(), trusted, now_s)
    if api_key:
        return _known_key(api_key.strip(), trusted) or Denied(Reason.INVALID_JWT_FORMAT)
    return Denied(Reason.INVALID_JWT_FORMAT if authorization.strip() else Reason.NO_AUTH_HEADER)


def _only(headers: Headers, wanted: bytes) -> str:
    """The value of a header that may come once; raises ``ValueError`` for two that differ."""
    found: bytes | None = None
    for name, value in headers:
        if name == wanted:
            if found not in {None, value}:
                raise ValueError("two values")
            found = value
    return found.decode("ascii") if found is not None else ""


def _bearer(token: str, trusted: Trusted, now_s: float) -> Granted | Denied:
    if token.startswith("sb_"):
        return _known_key(token, trusted) or Denied(Reason.INVALID_JWT_FORMAT)
    verify = _verified if len(token) <= LONGEST_KEPT else _verified.__wrapped__
    found = verify(token, trusted)
    return found if isinstance(found, Denied) else _in_force(found, now_s)


@lru_cache(maxsize=1024)
def _verified(token: str, trusted: Trusted) -> Mapping[str, Any] | Denied:
    """The claims of a token that a trusted key has signed. Remembered: an application sends the same token
    again and again, and checking a signature is slow.
    """
    if not _JWT.fullmatch(token):
        return Denied(Reason.INVALID_JWT_FORMAT)
    header = jwt.get_unverified_header(token)
    if "crit" in header:  # it must not be ignored, and names nothing that we know (RFC 7515, 4.1.11)
        return Denied(Reason.INVALID_JWT_FORMAT)
    candidates = _candidates(header, trusted)
    if candidates is None:
        return Denied(Reason.UNSUPPORTED_ALGORITHM)
    for key in candidates:
        claims = _claims(token, key, header["alg"])
        if claims is not None:
            return claims
    return Denied(Reason.LEGACY_JWT, unknown_key=not candidates)


def _known_key(given: str, trusted: Trusted) -> Granted | None:
    """Compares with every key, also after one has fitted, so that the time taken tells nothing."""
    plain = given.encode()
    fits = [allowed for key, allowed in trusted.known if hmac.compare_digest(plain, key)]
    return fits[0] if fits else None


def _candidates(header: Mapping[str, Any], trusted: Trusted) -> list[Any] | None:
    """The keys that may have signed the token. The algorithm decides, never the token's own claim alone. None
    when no known key could have.
    """
    algorithm = header.get("alg")
    if algorithm == ALGORITHM:
        return [trusted.keys.jwt_secret]
    if algorithm not in PUBLIC_KEY_ALGORITHMS or not trusted.public_keys:
        return None
    fitting = [key for key in trusted.public_keys if key.algorithm_name == algorithm]
    return [key for key in fitting if header.get("kid") in {None, key.key_id}]


def _claims(token: str, key: Any, algorithm: str) -> Mapping[str, Any] | None:
    try:
        claims: Mapping[str, Any] = jwt.decode(token, key, [algorithm], options=_OWN_CHECKS)
    except jwt.InvalidSignatureError:
        return None
    return claims


def _in_force(claims: Mapping[str, Any], now_s: float) -> Granted | Denied:
    """Whether the token holds now; one without ``exp`` holds for ever."""
    expires, begins = claims.get("exp"), claims.get("nbf")
    # Written so that what is no number, or NaN, fails.
    if expires is not None and not _number(expires) > now_s:
        return Denied(Reason.LEGACY_JWT)
    if begins is not None and not _number(begins) <= now_s + LEEWAY_S:
        return Denied(Reason.LEGACY_JWT)
    role = claims.get("role")
    return Granted(role if isinstance(role, str) and role else "anon", claims)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")
