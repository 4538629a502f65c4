"""The keys that open the dashboard, and what each is worth. Opens nothing; no ``repr`` shows one."""

from __future__ import annotations

import hmac
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from postmill.api.viewer import Role, Viewer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from postmill.api.keys import ViewerKeys


@dataclass(frozen=True, slots=True)
class Opened:
    """What a key has opened, and by which a session is held to the key it began with."""

    viewer: Viewer
    mark: str
    """Tells the key from others, and does not give it away: a digest of a configured one, the id of an issued
    one.
    """
    ends_s: float = math.inf
    """When the key ends, in seconds since 1970."""
    issued_s: float | None = None
    """When it was issued; None: it is configured."""


@dataclass(frozen=True, slots=True)
class Keys:
    """An operator's keys, a reader's, those issued to a name, and the secret that signs the cookie."""

    operator: tuple[str, ...] = field(repr=False)
    reader: tuple[str, ...] = field(repr=False)
    signing: str = field(repr=False)
    issued: ViewerKeys | None = field(default=None, repr=False)

    def opened(self, given: str) -> Opened | None:
        """What it opens. Compares with each key, so that the time taken tells nothing."""
        fits = [role for key, role in self._known() if hmac.compare_digest(given.encode(), key.encode())]
        if fits and given:
            return Opened(Viewer(fits[0].value, fits[0]), self._mark(given))
        found = None if self.issued is None else self.issued.issued(given)
        if found is None:
            return None
        return Opened(Viewer(found.name, Role(found.role)), found.key_id, found.ends_s, found.issued_s)

    def by_ticket(self) -> Opened:
        """What a link that signs in once opens: as much as the first of an operator's keys."""
        return Opened(Viewer(Role.OPERATOR.value, Role.OPERATOR), self._mark(self.operator[0]))

    def still_holds(self, opened: Opened) -> bool:
        """Whether a configured key that has opened a session is still one, and worth as much. Whether an
        issued one is revoked is known to the database.
        """
        if opened.issued_s is not None:
            return self.issued is not None
        return any(
            role is opened.viewer.role and hmac.compare_digest(self._mark(key), opened.mark)
            for key, role in self._known()
        )

    def _known(self) -> Iterable[tuple[str, Role]]:
        yield from ((key, Role.OPERATOR) for key in self.operator)
        yield from ((key, Role.READER) for key in self.reader)

    def _mark(self, key: str) -> str:
        return hmac.digest(
            self.signing.encode(), b"postmill: mark of a key\0" + key.encode(), "sha256"
        ).hex()[:16]
