"""How a host proves to a command that it is the one that ``served.json`` names, before it is sent a key.

The file holds a random identity that never travels. The command sends a challenge; the host answers with a
code over the challenge and the address at which it was reached, so that no other program can pass the
question on to the host and its answer back. Pure: opens nothing.
"""

from __future__ import annotations

import hmac
import re
import secrets
from hashlib import sha256

PATH = "/control/v1/proof"
"""Where a host answers; ``?challenge=`` is the question."""
_CHALLENGE = re.compile(r"challenge=(?P<text>[0-9a-f]{64})", re.ASCII)


def new_identity() -> str:
    """For a host that starts: 32 random bytes, as many as SHA-256 has."""
    return secrets.token_hex(32)


def new_challenge() -> str:
    """A question that was never asked before."""
    return secrets.token_hex(32)


def challenge_in(query: bytes) -> str | None:
    """The challenge in a query string; None when there is none of the right form."""
    found = _CHALLENGE.fullmatch(query.decode("ascii", errors="replace"))
    return found["text"] if found else None


def prove(identity: str, challenge: str, address: tuple[str, int]) -> str:
    """The host's answer. ``address``: host and port at which the question came in."""
    host, port = address
    return hmac.new(identity.encode(), f"{challenge} {host} {port}".encode(), sha256).hexdigest()


def is_proven(identity: str, challenge: str, address: tuple[str, int], answer: object) -> bool:
    """Whether the answer is the host's."""
    wanted = prove(identity, challenge, address)
    return isinstance(answer, str) and hmac.compare_digest(wanted.encode(), answer.encode(errors="replace"))
