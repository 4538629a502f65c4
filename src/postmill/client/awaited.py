"""From a reference to a message to its result: which message is meant, the statements that ask for it, and
what each way to end means. No I/O; both clients use it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from postmill.client.sending import Statement
from postmill.model.database_errors import no_such_queue, sentence
from postmill.model.duration import seconds
from postmill.model.errors import (
    InvalidOption,
    MessageCancelled,
    MessageDead,
    NotFound,
    PostmillError,
    Refused,
    ResultNotKept,
    ResultTimedOut,
)
from postmill.model.queue.payload import loads
from postmill.model.queue.queue_name import not_a_name
from postmill.model.sqlstates import Condition, condition, state_of
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    from postmill.model.queue.addressee import Addressee

    Reference: TypeAlias = "int | tuple[str | Addressee, int] | str | Addressee"


class Unset(Enum):
    """Stands for an argument that was not given, where None says something."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET
MAX_ID = 2**63 - 1
"""The largest id of a message: that of Postgres's ``bigint``."""


class Ref(NamedTuple):
    """One message."""

    queue: str
    msg_id: int

    def __str__(self) -> str:
        return f"Message {self.msg_id} of queue {self.queue}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of one message: ``fate`` as the SQL function ``_outcomes`` says it."""

    ref: Ref
    fate: str
    result: str | None
    letter: dict[str, Any] | None

    @property
    def pending(self) -> bool:
        """Whether the message has not ended."""
        return self.fate == "pending"


def reference(ref: Reference, msg_id: int | None = None) -> Ref:
    """The message that is meant: by what ``send`` has returned, ``(queue, msg_id)``, the text ``queue:id``,
    or both arguments.

    Raises :class:`InvalidOption`.
    """
    to, number = _parts(ref) if msg_id is None else (ref, msg_id)
    queue = to if isinstance(to, str) else getattr(to, "queue", None)
    if number is None:
        raise InvalidOption(
            f"{ref!r} names no message.",
            why="Each queue counts its own ids.",
            hint="Give what send() returned, or (queue, msg_id).",
        )
    if not isinstance(queue, str):
        raise not_a_name(to)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= MAX_ID:
        raise InvalidOption(f"{number!r} is no message's id.", hint="Give what send() returned.")
    return Ref(queue, int(number))


def _parts(ref: object) -> tuple[Any, Any]:
    """The queue, or what stands for it, and the id; None in place of an id that is not there."""
    match ref:
        case (to, number):
            return to, number
        case str() if ":" in ref:
            to, _, number = ref.rpartition(":")
            return to, int(number) if number.isdecimal() else number
        case int() if hasattr(ref, "queue"):
            return ref.queue, int(ref)
        case _:
            return ref, None


def timeout_s(timeout: float | timedelta | Unset | None) -> float | None:
    """Seconds to wait; None: without a limit. Raises :class:`InvalidOption`."""
    if timeout is None or isinstance(timeout, Unset) or timeout == float("inf"):
        return None
    return seconds(timeout, "timeout")


def is_one_look(msg_id: int | None, timeout: object) -> bool:
    """Whether ``result`` only looks: when it is asked for a queue and an id, without a timeout."""
    return msg_id is not None and timeout is UNSET


def can_not_write(error: PostmillError) -> bool:
    """Whether the reason is that nothing can be written: by a role that may not, or on a standby."""
    cause = error.__cause__
    found = condition(state_of(cause)) if cause is not None else None
    return found in {Condition.FORBIDDEN, Condition.READ_ONLY}


def looking(refs: Sequence[Ref]) -> Statement:
    """The statement that asks how messages have ended; :func:`outcome` reads each of its answers."""
    return Statement(statement("client_outcomes"), _columns(refs), refs[0].queue)


def looking_at_told(refs: Sequence[Ref], channel: str) -> Statement:
    """The statement that asks for results which a notification has told of; answers as of :func:`looking`."""
    return Statement(statement("client_told"), (*_columns(refs), channel), refs[0].queue)


def waiting(refs: Sequence[Ref], channel: str) -> Statement:
    """The statement that asks for a notification when a message ends."""
    return Statement(statement("client_wait"), (*_columns(refs), channel), refs[0].queue)


def ceasing(refs: Sequence[Ref], channel: str) -> Statement:
    """The statement that takes back :func:`waiting`."""
    return Statement(statement("client_wait_end"), (*_columns(refs), channel), refs[0].queue)


def asking_state(ref: Ref) -> Statement:
    """The statement that asks what a message is doing."""
    return Statement(statement("client_state"), tuple(ref), ref.queue)


def outcome(answer: str) -> Outcome:
    """One answer of :func:`looking`."""
    queue, msg_id, fate, result, letter = json.loads(answer)
    return Outcome(Ref(queue, msg_id), fate, result, letter)


def told(payload: str) -> Ref | None:
    """The message that a notification speaks of; None: it is of another version."""
    msg_id, _, queue = payload.partition(" ")
    return Ref(queue, int(msg_id)) if msg_id.isdecimal() else None


def value(ended: Outcome) -> Any:
    """The result. Raises :class:`MessageDead`, :class:`MessageCancelled`, :class:`ResultNotKept` or
    :class:`NotFound`.
    """
    if ended.fate == "completed":
        return None if ended.result is None else loads(ended.result)
    raise _error_of(ended)


def _error_of(ended: Outcome) -> PostmillError:
    named = str(ended.ref)
    match ended.fate:
        case "dead":
            return _dead(named, ended.letter or {})
        case "cancelled":
            why = (ended.letter or {}).get("reason")
            return MessageCancelled(f"{named} was cancelled.", why=sentence(why) if why else "")
        case "archived":
            return ResultNotKept(
                f"{named} has completed; its result was not kept.",
                why="Its worker keeps no results, it was pruned, or another client archived the message.",
                hint="Write @worker(keep_results=True).",
            )
        case "no queue":
            return no_such_queue(ended.ref.queue)
    return NotFound(
        f"Nothing is known of message {ended.ref.msg_id} of queue {ended.ref.queue}.",
        why=(
            "It was never sent, or its transaction has not committed; it was deleted, by another client or "
            "by a worker that keeps no results; or what was kept about it was pruned."
        ),
        hint="Wait only after the commit; write @worker(keep_results=True).",
    )


def _dead(named: str, letter: dict[str, Any]) -> MessageDead:
    again = letter.get("replayed_as")
    return MessageDead(
        f"{named} is dead: {str(letter.get('reason')).removesuffix('.')}.",
        hint=f"It was replayed as message {again}: wait for that one."
        if again
        else f"postmill dead show {letter.get('letter_id')} has the whole letter.",
        letter=letter,
    )


def timed_out(ref: Ref, limit_s: float, doing: Sequence[str] | None) -> ResultTimedOut:
    """The message has not ended in time. ``doing``: the answer of :func:`asking_state`; None: there was none,
    since the database could not be asked.
    """
    found = json.loads(doing[0]) if doing else {}
    state, waits_for = found.get("state"), found.get("waits_for")
    if doing is None:
        why = "The database could not be asked what it is doing."
    else:
        why = f"It is {state}{f', and waits for: {waits_for}' if waits_for else ''}." if state else ""
    return ResultTimedOut(
        f"{ref} has not ended within {limit_s:g} s.",
        why=why,
        hint=f"Wait again for longer; postmill message show {ref.queue} {ref.msg_id} says more.",
        state=state,
        waits_for=waits_for,
    )


def in_transaction() -> Refused:
    """The connection is in a transaction, so that waiting on it can't come to a good end."""
    return Refused(
        "The connection is in a transaction, and a result can't be waited for in it.",
        why="No worker sees a message that was sent in it before it commits.",
        hint="Commit first, or wait with a client of its own: AsyncClient(address).",
    )


def _columns(refs: Iterable[Ref]) -> tuple[list[str], list[int]]:
    refs = list(refs)
    return [ref.queue for ref in refs], [ref.msg_id for ref in refs]
