"""The world that the explorer walks: a few messages, two workers, a stranger and a clock, as values.

A :class:`State` is what the tables and the workers' memories hold, with everything left out that makes no
difference to what can happen next, so that equal situations are equal values. A :class:`Scene` is the same in
full detail, while one step is taken on the real tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

WAIT_US = 3_600_000_000
"""Leases and delays all last an hour: what a step itself takes can't be mistaken for one."""
_AGO_US = 60_000_000
LAST_LOADED_CLAIM = 1000
"""Claims of a state have lower ids, and those of later claims higher ones."""
WORKERS = ("A", "B")
NOBODY = ""


class Row(NamedTuple):
    """A message in the queue's table, and to whom it was delivered last without being settled since."""

    msg_id: int
    read_ct: int
    due: bool
    holder: str


class Token(NamedTuple):
    """What a worker remembers of a delivery."""

    worker: str
    msg_id: int
    read_ct: int
    in_flight: bool
    """A settlement that left before a renewal and has not arrived yet: it still carries the old vt."""
    in_doubt: bool
    """The answer to its last renewal was lost: the row may have another vt since."""
    has_vt: bool
    """Its vt is that of the row. Any other vt is as good as another: no vt comes back."""
    current: bool
    """By rights it may still settle the message."""
    claim: int
    """Which claim, or -1 when that is closed."""


class HeldClaim(NamedTuple):
    """A row of postmill.claims; its place among the others is its number."""

    worker: str
    held: tuple[tuple[int, int], ...]


class State(NamedTuple):
    """Everything that can make a difference to what happens next."""

    rows: tuple[Row, ...]
    tokens: tuple[Token, ...]
    claims: tuple[HeldClaim, ...]

    def mirrored(self) -> State:
        """The same with the workers' names exchanged."""
        other = {WORKERS[0]: WORKERS[1], WORKERS[1]: WORKERS[0], NOBODY: NOBODY}
        return State(
            tuple(row._replace(holder=other[row.holder]) for row in self.rows),
            tuple(sorted(token._replace(worker=other[token.worker]) for token in self.tokens)),
            tuple(claim._replace(worker=other[claim.worker]) for claim in self.claims),
        )

    def later(self) -> State:
        """The same when every lease and every delay is over."""
        return self._replace(rows=tuple(row._replace(due=True) for row in self.rows))


@dataclass
class LiveRow:
    """A row at a real moment."""

    read_ct: int
    vt_us: int
    holder: str = NOBODY


@dataclass
class LiveToken:
    """A token with a real vt and the real id of its claim."""

    worker: str
    msg_id: int
    read_ct: int
    vt_us: int
    claim: int
    current: bool = True
    in_flight: bool = False
    in_doubt: bool = False

    @property
    def key(self) -> tuple[int, int, int]:
        """The token as SQL compares it."""
        return self.msg_id, self.read_ct, self.vt_us


@dataclass
class Scene:
    """A state at a real moment: times in microseconds, claims with their real ids."""

    now_us: int
    rows: dict[int, LiveRow] = field(default_factory=dict)
    tokens: list[LiveToken] = field(default_factory=list)
    claims: dict[int, HeldClaim] = field(default_factory=dict)
    ended: dict[str, list[int]] = field(default_factory=lambda: {"archived": [], "dead": [], "cancelled": []})
    """What this step has taken out of the queue, and where it must be now."""

    @classmethod
    def of(cls, state: State, now_us: int) -> Scene:
        """``state`` as of now. Claim ids begin with 1, as those of the real sequence do."""
        scene = cls(now_us)
        base = 1  # what looks at claims may skip ids that no sequence gives
        scene.claims = {base + number: claim for number, claim in enumerate(state.claims)}
        for msg_id, read_ct, due, holder in state.rows:
            vt_us = now_us - _AGO_US if due else now_us + WAIT_US - _AGO_US
            scene.rows[msg_id] = LiveRow(read_ct, vt_us, holder)
        for token in state.tokens:
            row = scene.rows.get(token.msg_id)
            vt_us = row.vt_us if row and token.has_vt else now_us - 2 * _AGO_US
            claim = base + token.claim if token.claim >= 0 else 0
            key = token.worker, token.msg_id, token.read_ct, vt_us, claim
            scene.tokens.append(LiveToken(*key, token.current, token.in_flight, token.in_doubt))
        return scene

    def supersede(self, msg_id: int) -> None:
        """The lease of a message was ended or given to somebody: no token of before is current any more."""
        for token in self.tokens:
            if token.msg_id == msg_id:
                token.current = False

    def is_listed(self, token: LiveToken) -> bool:
        """Whether the claim of a delivery is still there and lists its message."""
        claim = self.claims.get(token.claim)
        return claim is not None and token.msg_id in dict(claim.held)

    def state(self) -> State:
        """What matters of it."""
        numbers = {claim_id: number for number, claim_id in enumerate(sorted(self.claims))}
        vts = {msg_id: row.vt_us for msg_id, row in self.rows.items()}
        rows = tuple(
            Row(msg_id, row.read_ct, row.vt_us < self.now_us + WAIT_US // 2, row.holder)
            for msg_id, row in sorted(self.rows.items())
        )
        tokens = tuple(
            Token(
                token.worker,
                token.msg_id,
                token.read_ct,
                token.in_flight,
                token.in_doubt,
                vts.get(token.msg_id) == token.vt_us,
                token.current,
                numbers.get(token.claim, -1),
            )
            for token in self.tokens
        )
        return State(rows, tuple(sorted(tokens)), tuple(self.claims[each] for each in sorted(numbers)))
