"""Which messages are settled together, and how: the registry in which an outcome finds its statement.

The engine's own outcomes are in ``engine.settle.statements``. A handler adds classes of its own
(``Handler.settlings``): they settle in the same batch, and are retried, kept, judged and reported like the
engine's. Within a statement messages stand in order of id, so that every statement locks rows in the same
order. Builds; executes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from uuid import UUID

    from postmill.model.events import Event
    from postmill.model.queue.message import Message
    from postmill.model.queue.outcome import Failed, Outcome
    from postmill.model.queue.queue_name import QueueShape

    Call: TypeAlias = tuple[str, tuple[Any, ...]]
    Build: TypeAlias = Callable[["Statements", "Settlement"], Call]
    Entry: TypeAlias = "Settling | Callable[[Any, Message | None], Settling]"

Pair = tuple["Message", "Outcome"]


class Room(NamedTuple):
    """What a settlement may claim for its worker."""

    messages: int
    lease: timedelta
    max_bytes: int
    """No further message is taken once they have this size."""
    begins: bool
    """Whether they begin at once: then the answer tells what their handlers need to know."""


NO_ROOM = Room(0, timedelta(0), 0, begins=False)
"""For nothing: a worker prepares a statement with it."""

KINDS = frozenset({"complete", "reschedule", "dead_letter", "cancel", "close", "gate"})
"""The engine's own kinds. ``settlement_lacks.sql`` knows the tables and rights that each of them needs."""


def a_failed_attempt(_outcome: Any, failed: Callable[[], Failed]) -> Outcome | None:
    """A failed attempt, under the retry policy, in place of an outcome that its row does not allow."""
    return failed()


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Settling:
    """One way in which messages end: all of a batch that end this way are settled by one statement."""

    kind: str
    """Names the statement in log lines. A refusal of one kind says nothing about other kinds."""
    event: Event
    """Reported of each message that was settled."""
    build: Build
    """Makes the statement's text and arguments. The statement changes a message only if its token
    ``(msg_id, read_ct, vt)`` is still the one it was claimed with, closes the claims of the settlement, and
    returns the ids that it settled as ``settled``. :func:`leases` makes the arguments for that;
    ``sql/statements/engine/reschedule.sql`` is an example.
    """
    details: Callable[[Message, Any], dict[str, Any]] | None = None
    """Fields of the event beside those that every message has."""
    due_in_s: Callable[[Any], float] | None = None
    """Seconds until the message is due again, and this worker looks for it; None: it is not looked for."""
    buries: bool = False
    """The messages go to the dead letters: each is given its last failure before, and ``on_dead`` is called
    after.
    """
    prepare: Callable[[Statements], Sequence[Call]] | None = None
    """Makes statements that settle nothing, and for which the server makes the plans of ``build``'s. A worker
    sends them when it starts: its first messages need not wait for that. None: they are made in no time.
    """
    claims: bool = False
    """Whether the statement can claim what it sends to its queue, within :attr:`Settlement.room`. Its answer
    has the columns of a claim then, beside ``settled``.
    """
    keeps_row: bool = False
    """No message's row is written, so a message that was not settled needs no search for its row."""
    diagnosis: str = ""
    """The kind of the engine's own whose tables and rights are checked when the database refuses; empty: none
    are.
    """
    weaker: Callable[[Any, Callable[[], Failed]], Outcome | None] = a_failed_attempt
    """What to try in place of an outcome that was refused for its row's sake; None: nothing, and the message
    is left to the end of its lease.
    """


@dataclass(slots=True)
class Settlement:
    """One statement's worth of messages that end the same way."""

    settling: Settling
    pairs: list[Pair]
    finished: list[int]
    """Claims that are closed with this."""
    touched: list[int]
    """Claims that lose these messages and stay."""
    sent_vts: list[int] = field(default_factory=list)
    """The tokens' vt as they were sent: a renewal may move the messages' own while the statement runs."""
    new_session: bool = False
    """Whether it is sent on a session that was opened for it, so that a handler's changes to the last session
    have no effect.
    """
    trial: bool = False
    """It was refused before and kept since: one row, sent to see whether it is taken now."""
    explained: bool = False
    """Its dead messages know their last failure."""
    room: Room | None = None
    """What it may claim for the worker; None: nothing."""
    waits: int = 0
    """How often it waited for a lock without getting it."""

    @property
    def kind(self) -> str:
        """The statement's name."""
        return self.settling.kind

    @property
    def event(self) -> Event:
        """What is reported of each message."""
        return self.settling.event

    @property
    def gates(self) -> tuple[str, ...]:
        """The flag of statements that give places in groups back, if one of the messages has one."""
        return ("gated",) if any(message.gated for message, _ in self.pairs) else ()

    @property
    def messages(self) -> list[Message]:
        """The messages, in order of id."""
        return [message for message, _ in self.pairs]

    @property
    def uncertain(self) -> bool:
        """Some of it was sent before, and no answer came: it may have landed."""
        return any(message.unanswered for message, _ in self.pairs)

    def landed(self, settled: Iterable[int]) -> tuple[list[Message], list[Pair]]:
        """The messages that the statement has really settled, and the pairs that it has not.

        They are compared by id: a user's trigger can keep a row or change what a statement returns, so the
        number of ids proves nothing, and ids that were not sent do not count.
        """
        ids = set(settled)
        messages = self.messages
        landed = [message for message in messages if message.msg_id in ids]
        if len(landed) == len(messages):
            return landed, []
        return landed, [pair for pair in self.pairs if pair[0].msg_id not in ids]

    def halves(self) -> tuple[list[Pair], list[Pair]]:
        """Its messages in two parts, each for a statement of its own."""
        middle = len(self.pairs) // 2
        return self.pairs[:middle], self.pairs[middle:]


class Settlings:
    """The ways in which messages of one worker can end, by class of outcome."""

    def __init__(self, own: Mapping[type, Entry], added: Mapping[type, Entry] | None = None) -> None:
        """``added``: those of the handler. One for a class of the engine's replaces it. Raises
        :class:`InvalidOption` for a kind that the engine uses for another statement.
        """
        added = added or {}
        for settling in added.values():
            if isinstance(settling, Settling):
                _check(settling)
        self._entries: dict[type, Entry] = {**own, **added}
        self._added = tuple(added)
        self.prepared = tuple(
            settling.prepare
            for settling in added.values()
            if isinstance(settling, Settling) and settling.prepare is not None
        )
        """What a worker prepares when it starts."""

    def find(self, outcome: Any, message: Message | None = None) -> Settling:
        """How ``outcome`` is settled. A subclass is settled as the nearest class above it that has an entry;
        an entry may choose by the outcome's values, and by the message that it is of.
        """
        entry = self._entries.get(type(outcome)) or self._inherited(outcome)
        return entry if isinstance(entry, Settling) else entry(outcome, message)

    def is_added(self, value: object) -> bool:
        """Whether ``value`` is an outcome that the handler has added."""
        if not self._added:
            return False
        nearest = next((kind for kind in type(value).__mro__ if kind in self._entries), None)
        return nearest in self._added

    def _inherited(self, outcome: Any) -> Entry:
        for kind in type(outcome).__mro__:
            if kind in self._entries:
                return self._entries[kind]
        raise TypeError(
            f"{type(outcome).__name__} is no outcome: the executor makes one of what ends an attempt"
        )


def _check(settling: Settling) -> None:
    if settling.kind in KINDS:
        raise InvalidOption(
            f"A settling of the kind {settling.kind!r} can't be added.",
            why="The engine has one: what the database refuses of a kind is told apart by its name.",
            hint="Give it another name.",
        )
    if settling.diagnosis not in {"", *KINDS}:
        raise InvalidOption(
            f"diagnosis={settling.diagnosis!r} is not known.", why=f"Known: {', '.join(sorted(KINDS))}."
        )


def grouped(
    pairs: Iterable[Pair],
    closing: Callable[[Iterable[Message]], tuple[list[int], list[int]]],
    settlings: Settlings,
) -> Iterator[Settlement]:
    """Settlements for ``pairs``: one for each way to end. Claims are counted off through ``closing`` when
    the turn of each comes, so that one that was refused before is not counted.
    """
    groups: dict[Settling, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(settlings.find(pair[1], pair[0]), []).append(pair)
    for settling, group in groups.items():
        for members in _alike(group):
            members.sort(key=lambda pair: pair[0].msg_id)
            finished, touched = closing(message for message, _ in members)
            yield Settlement(settling, members, finished, touched)


def _alike(pairs: list[Pair]) -> Iterator[list[Pair]]:
    """``pairs`` so that in one statement either all messages have a place in a group, or none has."""
    gated = [pair for pair in pairs if pair[0].gated]
    if not gated or len(gated) == len(pairs):
        yield from _distinct(pairs)
        return
    yield from _distinct(gated)
    yield from _distinct([pair for pair in pairs if not pair[0].gated])


def _distinct(pairs: list[Pair]) -> Iterator[list[Pair]]:
    """``pairs`` so that no id is twice in one statement, which tells messages by id. A worker that lost a
    message and claimed it again can hold two ends of it at once.
    """
    while pairs:
        if len({pair[0].msg_id for pair in pairs}) == len(pairs):
            yield pairs
            return
        first = {pair[0].msg_id: pair for pair in reversed(pairs)}
        yield list(first.values())
        pairs = [pair for pair in pairs if first[pair[0].msg_id] is not pair]


class Statements:
    """What the statements of one worker have in common: the queue's tables, and what becomes of messages."""

    def __init__(self, shape: QueueShape, worker_id: UUID, *, archive: bool, keep_results: bool) -> None:
        self.shape = shape
        self.worker_id = worker_id
        self.archive = archive
        self.keep_results = keep_results

    @property
    def complete_flags(self) -> tuple[str, ...]:
        """Optional lines of the completing statement: the queue's columns may come and go while it runs."""
        return completion_flags(self.shape, archive=self.archive)

    def call(self, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
        """The text and the arguments for a settlement."""
        return settlement.settling.build(self, settlement)


def completion_flags(shape: QueueShape, *, archive: bool) -> tuple[str, ...]:
    """The optional lines of the completing statement for this queue's columns."""
    if not archive:
        return ()
    flags = ["archive"]
    if shape.has_headers and shape.archive_has_headers:
        flags.append("archive_headers")
    if shape.has_last_read_at and shape.archive_has_last_read_at:
        flags.append("archive_last_read_at")
    return tuple(flags)


def array_literal(numbers: Iterable[int]) -> str:
    """The text of a PostgreSQL array."""
    return "{" + ",".join(map(str, numbers)) + "}"


def tokens(settlement: Settlement) -> tuple[str, str, str]:
    """The arguments of the part ``tokens``: the ids, read_ct and vt by which the messages are still the
    worker's, as they are sent now.
    """
    messages = settlement.messages
    settlement.sent_vts = [message.vt_us for message in messages]
    return (
        array_literal([message.msg_id for message in messages]),
        array_literal([message.read_ct for message in messages]),
        array_literal(settlement.sent_vts),
    )


def leases(settlement: Settlement) -> tuple[Any, ...]:
    """The first five arguments of each statement that shares ``tokens`` and ``settled_claims``: the messages'
    tokens, the claims that end, and the claims that lose these messages.
    """
    return *tokens(settlement), settlement.finished, settlement.touched
