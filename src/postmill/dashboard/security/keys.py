"""The keys that open the dashboard, and what each is worth. Opens nothing; no ``repr`` shows one."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from postmill.api.viewer import Role, Viewer

if TYPE_CHECKING:
    from postmill.api.keys import ViewerKeys


@dataclass(frozen=True, slots=True)
class Keys:
    """An operator's keys, a reader's, those issued to a name, and the secret that signs the cookie."""

    operator: tuple[str, ...] = field(repr=False)
    reader: tuple[str, ...] = field(repr=False)
    signing: str = field(repr=False)
    issued: ViewerKeys | None = field(default=None, repr=False)

    def viewer(self, given: str) -> Viewer | None:
        """Whose key it is. Compares with each key, so that the time taken tells nothing."""
        known = [(key, Role.OPERATOR) for key in self.operator] + [(key, Role.READER) for key in self.reader]
        fits = [role for key, role in known if hmac.compare_digest(given.encode(), key.encode())]
        if fits and given:
            return Viewer(fits[0].value, fits[0])
        return None if self.issued is None else self.issued.viewer(given)
