"""What a simulated run meets: stand-ins for steps, and signals with their times."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from postmill.flows.signal import Signal
from postmill.flows.steps import Step
from postmill.model.errors import InvalidOption, Refused
from postmill.testing.jumping_clock import JumpingClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


if TYPE_CHECKING:
    from collections.abc import Awaitable

    from postmill.flows.runnable import Runnable
    from postmill.service.threads import Threads
    from postmill.testing.simulated import Simulated


@dataclass(frozen=True, slots=True)
class Later:
    """A signal's value that comes some time after the start of the run. Made by :func:`later`."""

    after_s: float
    value: object


def later(after_s: float, value: object) -> Later:
    """In ``signals``: the value is sent so many seconds after the start of the run."""
    return Later(after_s, value)


class NotSimulated(Refused):
    """The run needs what only a database, a network or a person has, and no stand-in was given."""


@dataclass(frozen=True)
class World:
    """What the runs of one simulation share."""

    fakes: Mapping[Any, object]
    """By step, function, flow or workflow, or (of ``ctx.call``) name of an edge function."""
    signals: Mapping[Any, object]
    """By signal, or by the step that waits for one."""
    threads: Threads
    run: Callable[[World, Runnable[Any], str], Awaitable[Simulated[Any]]]
    """Runs a flow or a workflow in this world, on an input that is JSON."""
    clock: JumpingClock = field(default_factory=JumpingClock)
    _sent: dict[str, list[Later]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for key, value in self.signals.items():
            signal = key.signal if isinstance(key, Step) else key
            if not isinstance(signal, Signal):
                raise InvalidOption(
                    f"signals has {key!r}, which nothing waits for.",
                    hint="Its keys are signals, and steps made by flow.wait or flow.approval.",
                )
            values = value if signal.many and isinstance(value, list) else [value]
            self._sent[signal.name] = [_checked(signal, each) for each in values]

    def stand_in(self, *keys: Any) -> Callable[..., Any] | None:
        """What is called in place of the first of these that has a stand-in; None: none has. What is no
        function is the value that it gives.
        """
        for key in keys:
            if key is not None and key in self.fakes:
                return _callable(self.fakes[key])
        return None

    def signal(self, signal: Signal[Any], taken: int) -> Later | None:
        """The signal that a wait gets, ``taken`` of which were taken before by waits of this run."""
        sent = self._sent.get(signal.name, [])
        place = taken if signal.many else 0
        return sent[place] if place < len(sent) else None


def _callable(fake: Any) -> Callable[..., Any]:
    return fake if callable(fake) else lambda *_args, **_kwargs: fake


def _checked(signal: Signal[Any], value: object) -> Later:
    """Raises ``InvalidPayload`` for a value that the signal can't have."""
    sent = value if isinstance(value, Later) else Later(0.0, value)
    signal.check(sent.value)
    return sent


def nobody_sends(signal: Signal[Any]) -> NotSimulated:
    """The error for a wait that would never end."""
    return NotSimulated(
        f"The run waits for the signal {signal.name!r} for ever.",
        why="No value is given for it, and the wait has no timeout.",
        hint="Give one: simulate(..., signals={signal: value}), or later(seconds, value).",
    )
