"""A search as the filter of an operation: both select the same messages. Pure.

What the keys of the filter mean is the database's to say (``postmill._conditions``).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from postmill.model.errors import InvalidSearch
from postmill.model.search.filter import Filter, When
from postmill.model.search.language import place_of, text_of

if TYPE_CHECKING:
    from datetime import datetime

Kind: TypeAlias = Literal["cancel", "retry", "move", "replay", "discard"]
"""What an operation does."""
OF_LETTERS = frozenset({"replay", "discard"})
"""The kinds that are about dead letters; the others are about messages that are in their queue."""
IN_QUEUE = ("scheduled", "ready", "running", "retrying", "waiting")
"""The states of messages that are in their queue."""


def fixed(wanted: Filter, now: datetime) -> Filter:
    """The same search with moments in place of times before ``now``: it does not change while time passes."""
    return replace(wanted, since=_at(wanted.since, now), before=_at(wanted.before, now))


def condition(wanted: Filter, kind: str, queue: str) -> dict[str, Any]:
    """The filter with which an operation of ``kind`` on ``queue`` is about what the search finds there: of
    the messages in the queue, or of the dead letters. The search is a fixed one. Raises
    :class:`InvalidSearch` for a term that the operation can't carry out.
    """
    _check(wanted, kind, queue)
    found: dict[str, Any] = {
        "state": None if wanted.state is None else [wanted.state],
        "error": wanted.error,
        "msg_ids": None if wanted.ids is None else list(wanted.ids),
        "sent_since": _moment(wanted.since),
        "sent_until": _moment(wanted.before),
        "fields": fields_of(wanted) or None,
        "words": list(wanted.words) or None,
    }
    return {key: value for key, value in found.items() if value is not None}


def fields_of(wanted: Filter) -> dict[str, str]:
    """The value that is wanted at each place."""
    return {place_of(field): field.value for field in wanted.fields}


def _check(wanted: Filter, kind: str, queue: str) -> None:
    if wanted.queue is not None and wanted.queue.lower() != queue.lower():
        raise _refused(Filter(queue=wanted.queue), f"This is about queue {queue}.", "Leave the term out.")
    if wanted.worker is not None:
        why = "What a worker holds is another message a moment later."
        raise _refused(Filter(worker=wanted.worker), why, "Give ids, or state:running for all that run.")
    if wanted.state is None:
        return
    if kind in OF_LETTERS and wanted.state != "dead":
        why = f"To {kind} is for dead letters, and each of them is dead."
        raise _refused(Filter(state=wanted.state), why, "Leave the term out.")
    if kind not in OF_LETTERS and wanted.state not in IN_QUEUE:
        why = f"To {kind} is for messages that are in their queue: {', '.join(IN_QUEUE)}."
        hint = "Dead letters are replayed or discarded." if wanted.state == "dead" else ""
        raise _refused(Filter(state=wanted.state), why, hint)


def _refused(term: Filter, why: str, hint: str) -> InvalidSearch:
    return InvalidSearch(f"An operation can't be about {text_of(term)}.", why=why, hint=hint)


def _at(when: When | None, now: datetime) -> When | None:
    if when is None or when.ago_s is None:
        return when
    return When(at=now - timedelta(seconds=when.ago_s))


def _moment(when: When | None) -> str | None:
    return None if when is None or when.at is None else when.at.isoformat()
