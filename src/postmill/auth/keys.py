"""A project's keys: what they are and how they are made. Opens nothing; no ``repr`` shows one."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from hashlib import sha256

import jwt

from postmill.model.errors import InvalidOption

ALGORITHM = "HS256"
ISSUER = "postmill"
LIFE_S = 10 * 365 * 24 * 3600
"""How long the anon and service role tokens are valid, in seconds. Ten years: as long as the keys that
Supabase gives a project, so that a deployment never ends because its key is old.
"""
LEAST_SECRET_BYTES = 32
"""The shortest signing secret. HS256 requires a secret at least as long as its hash, 256 bits (RFC 7518,
section 3.2).
"""


@dataclass(frozen=True, slots=True)
class ProjectKeys:
    """The secret that signs, and the four credentials that a project hands out."""

    jwt_secret: str = field(repr=False)
    anon: str = field(repr=False)
    service_role: str = field(repr=False)
    publishable: str = field(repr=False)
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        _check(self.jwt_secret)

    def roles(self) -> tuple[tuple[str, str], ...]:
        """Each credential with the role it stands for."""
        return (
            (self.anon, "anon"),
            (self.service_role, "service_role"),
            (self.publishable, "anon"),
            (self.secret, "service_role"),
        )


def make(now_s: float, jwt_secret: str | None = None) -> ProjectKeys:
    """New keys; with ``jwt_secret`` the tokens are signed with it instead of a new one.

    Raises :class:`InvalidOption` when that is too short.
    """
    signing = secrets.token_urlsafe(48) if jwt_secret is None else jwt_secret
    _check(signing)
    return ProjectKeys(
        jwt_secret=signing,
        anon=_token("anon", signing, now_s),
        service_role=_token("service_role", signing, now_s),
        publishable=_opaque("sb_publishable_"),
        secret=_opaque("sb_secret_"),
    )


def _check(jwt_secret: str) -> None:
    if len(jwt_secret.encode()) < LEAST_SECRET_BYTES:
        raise InvalidOption(
            "The JWT secret is too short.",
            why=f"It has less than {LEAST_SECRET_BYTES} bytes and could be guessed.",
            hint="Make one: openssl rand -base64 48",
        )


def _token(role: str, signing: str, now_s: float) -> str:
    now = int(now_s)
    claims = {"iss": ISSUER, "role": role, "iat": now, "exp": now + LIFE_S}
    return jwt.encode(claims, signing, ALGORITHM)


def _opaque(prefix: str) -> str:
    """The prefix, 22 random characters, and a checksum of 8 by which scanners know a key that leaked."""
    body = prefix + secrets.token_urlsafe(16)
    return f"{body}_{sha256(body.encode()).hexdigest()[:8]}"
