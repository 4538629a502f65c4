"""What a send returns: the message's id, which knows its queue."""

from __future__ import annotations

from typing import Any


class Sent(int):
    """The id of a message that was sent. It can be used wherever its number can, and as a source in
    ``after``.
    """

    queue: str
    """The queue's name."""
    existed: bool = False
    """Whether another message held the unique key: then the id is that message's."""
    database: str | None = None
    """The database that it was sent to, among several; ids are counted in each by itself."""

    def __new__(cls, msg_id: int, queue: str, existed: bool = False) -> Sent:
        """``msg_id`` in ``queue``."""
        made = int.__new__(cls, msg_id)
        made.queue = queue
        if existed:
            made.existed = True
        return made

    def __getnewargs__(self) -> tuple[Any, ...]:
        return int(self), self.queue, self.existed

    def of(self, database: str) -> Sent:
        """This message, in the database of that name."""
        self.database = database
        return self

    @property
    def ref(self) -> str:
        """As SQL and the command line name it: ``queue:id``."""
        return f"{self.queue}:{int(self)}"
