"""How a run is started: frozen, validated when made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from postmill.client.options import MAX_KEY
from postmill.flows.names import some_name
from postmill.model.errors import InvalidOption
from postmill.model.option_rules import whole_number

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions:
    """Raises :class:`InvalidOption` for a bad value."""

    key: str | None = None
    """One run of a flow has it; a second start with it returns that run."""
    delay_s: float | None = None
    tags: Sequence[str] = ()
    deadline_s: float | None = None
    """Seconds after which a run that has not ended fails; None: as its flow says."""
    priority: int | None = None
    version: int | None = None
    """None: the newest."""
    connection: Any = None
    """The run begins with this connection's transaction; None: at once, on a connection of Postmill's own."""

    def __post_init__(self) -> None:
        if self.key is not None:
            some_name(self.key, "one run: a key", MAX_KEY)
        if isinstance(self.tags, str):
            raise InvalidOption(f"tags={self.tags!r} is one text.", hint=f"Give a list: [{self.tags!r}].")
        if self.priority is not None:
            whole_number("priority", self.priority, 0, 9)
