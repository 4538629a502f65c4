"""How a function that runs again finds what is recorded of its run: names, outcomes, arguments, signals.

Pure: reads no database and no clock.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from postmill.model.errors import ReplayMismatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

State = Literal["waiting", "completed", "failed"]

SHORT = 64
"""Arguments of no more characters of JSON are kept as they are, others as a hash, which is no shorter."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One step of a run, as the database has it."""

    state: State
    """``waiting``: a wait, a sleep or a child without an outcome so far, or a step between two attempts."""
    output: str | None = None
    """JSON text."""
    inputs: str | None = None
    """See :func:`inputs_of`; None: nothing is known of them."""
    reason: str | None = None
    waited_s: float = 0.0
    """Seconds since it began, when the run was loaded."""
    attempts: int | None = None
    """How often it was tried; of a step between two attempts how many have failed. None: it is no step."""
    left_s: float | None = None
    """Of a step between two attempts: seconds until the next one, when this was written or loaded."""


@dataclass(frozen=True, slots=True)
class SentSignal:
    """A signal that the run was sent."""

    signal_id: int
    name: str
    content: str
    """JSON text."""
    untaken: bool


@dataclass(slots=True)
class Replay:
    """What is recorded of one run, while its function runs."""

    recorded: dict[str, Recorded] = field(default_factory=dict)
    signals: list[SentSignal] = field(default_factory=list)
    _counted: Counter[str] = field(default_factory=Counter)
    _ahead: set[str] = field(default_factory=set)
    """Outcomes and failed attempts that the function has not come to yet."""

    def __post_init__(self) -> None:
        self._ahead = {
            name
            for name, each in self.recorded.items()
            if each.state != "waiting" or each.attempts is not None
        }

    def name(self, base: str) -> str:
        """The name of the next step that is called ``base``: ``charge``, then ``charge#2``."""
        self._counted[base] += 1
        count = self._counted[base]
        return base if count == 1 else f"{base}#{count}"

    def find(self, name: str, inputs: str | None) -> Recorded | None:
        """What is recorded of this step; None: nothing. Raises :class:`ReplayMismatch` when it was called
        with other arguments.
        """
        found = self.recorded.get(name)
        self._ahead.discard(name)
        if found is not None and None not in (found.inputs, inputs) and found.inputs != inputs:
            raise ReplayMismatch(
                f"Step {name!r} was called with {_shown(found.inputs)} before, with {_shown(inputs)} now.",
                why="A function that runs again must make the same calls with the same arguments.",
                hint="Make a step of what differs (the time, a read), guard new code by ctx.patched,"
                " name steps of branches: ctx.named.",
            )
        return found

    def learn(self, name: str, outcome: Recorded) -> None:
        """The step has this outcome from now on."""
        self.recorded[name] = outcome

    @property
    def is_behind(self) -> bool:
        """Whether the function has been further before: outcomes are recorded that it has not come to."""
        return bool(self._ahead)

    @property
    def failed_steps(self) -> tuple[str, ...]:
        """The steps that are recorded as failed."""
        return tuple(name for name, each in self.recorded.items() if each.state == "failed")

    def signal(self, name: str, *, many: bool) -> SentSignal | None:
        """The signal that a wait takes now. A plain one stays; of many each is taken once."""
        for place, sent in enumerate(self.signals):
            if sent.name == name and (sent.untaken or not many):
                self.signals[place] = replace(sent, untaken=False)
                return sent
        return None

    def drop(self, signal_id: int) -> None:
        """The run has refused this signal."""
        self.signals = [sent for sent in self.signals if sent.signal_id != signal_id]


def inputs_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
    """What is kept of a step's arguments, to see whether they are the same in a replay: their JSON, or its
    hash. What is no JSON counts by its class. None for what can't be told at all.
    """
    try:
        text = _ENCODER.encode([list(args), dict(kwargs)] if kwargs else list(args))
    except Exception:
        return None
    if len(text) <= SHORT:
        return text.decode()
    return "sha256:" + hashlib.sha256(text).hexdigest()[:32]


def _shown(inputs: str | None) -> str:
    return f"arguments {inputs}" if inputs else "other arguments"


def _plain(value: Any) -> Any:
    """What msgspec can't write: a pydantic model as its fields, anything else as the name of its class."""
    dump = getattr(value, "model_dump", None)
    if dump is not None and not isinstance(value, type):
        return dump(mode="json")
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


_ENCODER = msgspec.json.Encoder(enc_hook=_plain, order="deterministic")
