"""The pages that fail for real, each in a way that a scraper meets sooner or later.

Says what a page answers on its first, second, ... try; it knows nothing of sockets.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from zlib import crc32

FOLDER = "/trouble/"


class Answer(Enum):
    """How the server treats one request."""

    PAGE = auto()
    MISSING = auto()  # 404
    BUSY = auto()  # 503 with Retry-After
    HANG = auto()  # takes the request and says nothing
    CUT = auto()  # promises a body, sends half of it and closes the connection


@dataclass(frozen=True, slots=True)
class Page:
    """A page of trouble: its body, and its answer on the first ``tries`` tries (``None``: on every one)."""

    body: bytes
    answer: Answer = Answer.PAGE
    tries: int | None = None
    charset: str = ""

    def on_try(self, number: int) -> Answer:
        """The answer on try ``number``, counted from 1."""
        return self.answer if self.tries is None or number <= self.tries else Answer.PAGE


GREETING = '"""Greets in {0}."""\n\ndef greet():\n    """Grüße, señor."""\n    return "¡olé!"\n'
SANE = b'"""A page that works in the end."""\n\ndef found() -> bool:\n    return True\n'

PAGES = {
    FOLDER + "hangs.py": Page(SANE, Answer.HANG),
    FOLDER + "hangs-once.py": Page(SANE, Answer.HANG, tries=1),
    FOLDER + "always-busy.py": Page(SANE, Answer.BUSY),
    FOLDER + "busy-twice.py": Page(SANE, Answer.BUSY, tries=2),
    FOLDER + "cut-short-once.py": Page(SANE, Answer.CUT, tries=1),
    FOLDER + "missing.py": Page(b"", Answer.MISSING),
    FOLDER + "bad-syntax.py": Page(b"def half_a_function(:\n"),
    FOLDER + "not-utf-8.py": Page("name = 'Grüße'\n".encode("latin-1")),
    FOLDER + "latin-1.py": Page(("# coding: latin-1\n" + GREETING.format("Latin-1")).encode("latin-1")),
    FOLDER + "utf-16.py": Page(GREETING.format("UTF-16").encode("utf-16"), charset="utf-16"),
    FOLDER + "nul.py": Page(b'"""A NUL \\0 and half a pair \\ud800, which Postgres text can\'t hold."""\n'),
}

#: The pages that no number of tries can save: exactly these end as dead letters.
HOPELESS = frozenset(
    FOLDER + name for name in ("hangs.py", "always-busy.py", "missing.py", "bad-syntax.py", "not-utf-8.py")
)


def busy_tries(path: str) -> int:
    """How many times an ordinary page says 503 before it answers: 1 or 2 for one page in 25, else 0.

    From the path alone, so that every run on the same Python meets the same trouble.
    """
    number = crc32(path.encode())
    return 1 + number // 25 % 2 if number % 25 == 0 else 0
