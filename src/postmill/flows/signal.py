"""``Signal``: a named value that a run waits for, and that it can be sent from anywhere."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from postmill.flows.names import some_name
from postmill.handlers.invokers import decoder
from postmill.model.errors import InvalidPayload
from postmill.model.queue.payload import to_json

T = TypeVar("T")


class Signal(Generic[T]):
    """``approved = Signal("approved", Approval)``.

    A run keeps the first value of a plain signal for good: a wait that comes later returns it at once. With
    ``many=True`` values form a queue, and each wait takes the next one.
    """

    def __init__(self, name: str, type: type[T], *, many: bool = False) -> None:  # noqa: A002 - as users say it
        """Raises :class:`InvalidFlow` for a name that is empty, :class:`InvalidHandler` for a type that JSON
        can't be decoded to.
        """
        self.name = some_name(name, "a signal")
        self.type: Any = type
        self.many = many
        self.decode = decoder(type)
        """The value of a JSON text. Raises ``InvalidPayload`` for one that does not fit."""

    def check(self, value: object) -> None:
        """Refuses a value that no wait could take. Raises ``InvalidPayload``."""
        try:
            self.decode(to_json(value).decode())
        except InvalidPayload as error:
            raise InvalidPayload(
                f"The value does not fit the signal {self.name!r}.",
                why=f"{error}.",
                hint=f"Its type is {self.type!r}.",
            ) from error

    def __repr__(self) -> str:
        return f"Signal({self.name!r})"
