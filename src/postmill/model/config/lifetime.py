"""When a process with workers leaves by itself. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """What is None, or false, ends nothing."""

    until_empty: bool = False
    """Leave when this process runs nothing and nothing of its queues could run now."""
    idle_s: float | None = None
    """Leave when it has run nothing for so long, in seconds."""
    runtime_s: float | None = None
    """Leave when its workers have been at work for so long, in seconds."""
    messages: int | None = None
    """It is worn out when it has settled so many messages. What runs at that moment is finished too."""
    rss_bytes: int | None = None
    """It is worn out when it takes so much memory and has settled a message. Before its first one it is left
    alone: the next process would take as much.
    """
    on_started: Callable[[], object] | None = None
    """Called once its workers claim."""
    on_worn: Callable[[str], object] | None = None
    """Called with the reason, once, when it is worn out, instead of leaving: what replaces it also stops
    it.
    """

    @property
    def is_endless(self) -> bool:
        """Whether nothing is to be looked after."""
        return self == Lifetime()

    @property
    def is_job(self) -> bool:
        """Whether it ends by itself, as what cron, CI or a scheduler starts again: a part of a fleet does
        not.
        """
        return self.until_empty or self.idle_s is not None or self.runtime_s is not None

    def ending(self, *, age_s: float, idle_s: float) -> str | None:
        """Why a process leaves at such an age, after so long without a message; None when it stays. That its
        queues are empty is for the database to say.
        """
        if self.runtime_s is not None and age_s >= self.runtime_s:
            return "max-runtime"
        if self.idle_s is not None and idle_s >= self.idle_s:
            return "idle"
        return None

    def wear(self, *, settled: int, rss_bytes: int) -> str | None:
        """Why a process should be replaced that has settled so many and takes so much; None when not."""
        if self.messages is not None and settled >= self.messages:
            return "max-messages"
        if self.rss_bytes is not None and settled > 0 and rss_bytes >= self.rss_bytes:
            return "max-rss"
        return None
