"""Tokens that let their bearer read one run of a flow, and nothing else. Pure: keys and the time in, a text
out.

The audience keeps a function that verifies JWTs with the project's secret from taking one for a user's: a
library refuses a token whose audience it was not told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jwt

from postmill.auth.keys import ALGORITHM, ISSUER

if TYPE_CHECKING:
    from postmill.auth.credentials import Granted
    from postmill.auth.keys import ProjectKeys

ROLE = "postmill_run"
"""Not the name of a database's role: PostgREST refuses a token that names it."""
AUDIENCE = "postmill:run"
LIFE_S = 3600
"""How long a token opens a stream, in seconds. An hour: a page that is watched longer asks its own server for
another one, and one that leaks is soon worth nothing. A stream that is open goes on.
"""


def issue(keys: ProjectKeys, run_id: int, now_s: float) -> str:
    """A token for one run."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "role": ROLE,
        "run": run_id,
        "iat": int(now_s),
        "exp": int(now_s) + LIFE_S,
    }
    return jwt.encode(claims, keys.jwt_secret, ALGORITHM)


def opens(granted: Granted, run_id: int) -> bool:
    """Whether the token is for this run. ``True`` is no run's number, though it equals 1."""
    run = granted.claims.get("run")
    is_for_runs = granted.role == ROLE and granted.claims.get("aud") == AUDIENCE
    return is_for_runs and type(run) is int and run == run_id
