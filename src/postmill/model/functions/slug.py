"""Which names a function may have: the last part of its URL, and the name of its file or folder."""

from __future__ import annotations

import re

from postmill.model.errors import InvalidFunction

RULE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")


def validated(slug: object) -> str:
    """``slug`` itself, or :class:`InvalidFunction`: 1 to 100 of A-Z, a-z, 0-9, _ and -, a letter first."""
    if isinstance(slug, str) and RULE.fullmatch(slug):
        return slug
    raise InvalidFunction(
        f"{slug!r} is not a name for a function.",
        why="A name has 1 to 100 characters out of A-Z, a-z, 0-9, _ and -; the first one is a letter.",
        hint="Choose another name, e.g. 'hello' or 'send-mail'.",
    )
