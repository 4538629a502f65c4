"""The signed cookie of a person who has signed in. Pure: the time is passed in.

It holds no key: a name, a role, an end and what tells the key that was given, signed with a secret of the
project. Who has the secret could sign in anyway.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from hashlib import sha256

from postmill.api.viewer import Role, Viewer
from postmill.auth.own_cookies import PREFIX
from postmill.dashboard.security.keys import Opened

LIFE_S = 12 * 3600.0
"""How long a person stays signed in, in seconds. Twelve hours: a day of work, and the cookie of a machine
that was left open is worth nothing the next morning.
"""
LONGEST = 1024
"""Characters of a cookie at most. A name of 200 characters makes 400; what is longer was not written here."""


class Seal:
    """Signs values, and reads back what it has signed. ``purpose`` keeps one kind from passing as another."""

    def __init__(self, secret: str) -> None:
        self._key = sha256(b"postmill dashboard\0" + secret.encode()).digest()
        self.project = sha256(b"postmill project\0" + self._key).hexdigest()[:8]
        """What tells this project's cookies from those of others on the same host: cookies ignore ports."""

    def sign(self, purpose: str, value: object) -> str:
        """The value as text, with its signature."""
        body = base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode())
        return f"{body.decode()}.{self._signature(purpose, body)}"

    def read(self, purpose: str, text: str) -> object | None:
        """The value that was signed for that purpose; None for anything else."""
        body, _, signature = text.partition(".")
        if len(text) > LONGEST or not hmac.compare_digest(
            signature.encode(), self._signature(purpose, body.encode()).encode()
        ):
            return None
        try:
            found: object = json.loads(base64.urlsafe_b64decode(body))
        except (ValueError, binascii.Error):
            return None
        return found

    def cookie(self, kind: str) -> str:
        """The name of the project's cookie of that kind."""
        return f"{PREFIX}{kind}_{self.project}"

    def session(self, opened: Opened, now_s: float) -> str:
        """The value of the cookie by which the viewer is known again. It ends with the key at the latest."""
        viewer, end = opened.viewer, int(min(now_s + LIFE_S, opened.ends_s))
        return self.sign("session", [viewer.name, viewer.role.value, end, opened.mark, opened.issued_s])

    def opened(self, text: str, now_s: float) -> Opened | None:
        """What the key has opened with which a viewer signed in, while the cookie holds."""
        match self.read("session", text):
            case [str(name), str(role), int(end), str(mark), float() | None as issued] if (
                now_s < end and role in set(Role)
            ):
                return Opened(Viewer(name, Role(role)), mark, end, issued)
        return None

    def _signature(self, purpose: str, body: bytes) -> str:
        return hmac.new(self._key, purpose.encode() + b"\0" + body, sha256).hexdigest()
