"""Keys of people and programs that watch and steer Postmill: each has a name and a role, and ends. Pure: keys
and the time in, a text out.

The audience keeps what verifies JWTs with the project's secret from taking one for a user's: a library
refuses a token whose audience it was not told.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

from postmill.auth.keys import ALGORITHM, ISSUER
from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postmill.auth.credentials import Granted
    from postmill.auth.keys import ProjectKeys

PREFIX = "postmill_"
ROLES = ("reader", "operator")
AUDIENCE = "postmill:viewer"
LONGEST_NAME = 100
"""Characters of a name at most: the audit shows it in a column, and a person's address fits."""


@dataclass(frozen=True, slots=True)
class Issued:
    """What an issued key says: whose it is, what it may do, from when to when (seconds since 1970), and by
    which id it can be revoked.
    """

    name: str
    role: str
    key_id: str
    issued_s: float
    ends_s: float


def issue(keys: ProjectKeys, name: str, role: str, now_s: float, life_s: float) -> str:
    """A key for ``name`` that is good for ``life_s`` seconds. Raises :class:`InvalidOption`."""
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise InvalidOption(
            "That is no name for a key.",
            why=f"The audit shows it: it has 1 to {LONGEST_NAME} printable characters.",
            hint="Name who has the key: postmill keys create ada",
        )
    if role not in ROLES:
        raise InvalidOption(f"There is no role {role!r}.", why=f"It is one of {', '.join(ROLES)}.")
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "role": f"{PREFIX}{role}",
        "sub": name,
        "jti": secrets.token_hex(6),
        "iat": round(now_s, 3),
        "exp": int(now_s + life_s),
    }
    return jwt.encode(claims, keys.jwt_secret, ALGORITHM)


def issued(granted: Granted) -> Issued | None:
    """What the key says; None for a token that is another thing."""
    role = granted.role.removeprefix(PREFIX)
    name = granted.claims.get("sub")
    is_key = is_for_viewers(granted) and granted.role == f"{PREFIX}{role}" and role in ROLES
    if not is_key or not isinstance(name, str) or not name:
        return None
    claims = granted.claims
    return Issued(
        name, role, str(claims.get("jti", "")), _seconds(claims, "iat", 0), _seconds(claims, "exp", math.inf)
    )


def _seconds(claims: Mapping[str, Any], name: str, absent: float) -> float:
    found = claims.get(name)
    return float(found) if isinstance(found, int | float) else absent


def is_for_viewers(granted: Granted) -> bool:
    """Whether the token opens the API and the dashboard only."""
    return granted.claims.get("aud") == AUDIENCE
