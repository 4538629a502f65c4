"""Variables of the environment that libpq reads, kept from connections to the project's own Postgres.

They are meant for other servers: PGSERVICE or PGHOSTADDR would lead elsewhere, PGOPTIONS or PGREQUIREAUTH
would change or refuse the session. The caller's own connections go on to see them.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING

from postmill.model.config.address import is_embedded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX = "PG"
KEPT = frozenset({"PGPASSWORD", "PGPASSFILE", "PGAPPNAME", "PGCONNECT_TIMEOUT"})
"""Variables that are left in: they do no harm to a connection whose address names the server."""
_one_at_a_time = RLock()
"""The environment is the whole process's: two threads must not put back what the other has taken out."""


def without(environ: Mapping[str, str], url: str) -> dict[str, str]:
    """The environment for a program that connects to ``url``."""
    return {name: value for name, value in environ.items() if not (_is_libpqs(name) and is_embedded(url))}


@contextmanager
def ignored(url: str) -> Iterator[None]:
    """libpq does not see these variables while it opens a connection to ``url``, if that is the project's own
    server.
    """
    if not is_embedded(url) or not any(map(_is_libpqs, os.environ)):
        yield
        return
    with _one_at_a_time:
        taken = {name: os.environ.pop(name) for name in list(os.environ) if _is_libpqs(name)}
        try:
            yield
        finally:
            os.environ.update(taken)


def _is_libpqs(name: str) -> bool:
    return name.startswith(PREFIX) and name not in KEPT
