"""One dead letter: why it died, and its payload, which can be changed before it is put back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.api.resources import dead_letters as resource
from postmill.api.resources.queues import InQueue
from postmill.dashboard.bodies import payload_typed
from postmill.dashboard.filters import segment
from postmill.dashboard.page import Done, View, action, page

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit


@page("/dead/{letter_id}", tab="Dead letters")
async def letter(visit: Visit) -> View:
    """The letter, without its secrets."""
    return _view(await resource.show_dead_letter(visit.desk, visit.in_path(resource.InLetter)))


@action("/dead/{letter_id}/reveal", of=letter)
async def reveal(visit: Visit) -> View:
    """The letter with its secrets. The audit says who has seen them."""
    shown = await resource.reveal_dead_letter(visit.desk, visit.in_path(resource.InLetter))
    return _view(shown, revealed=True)


@action("/dead/{letter_id}/replay", of=letter)
async def replay(visit: Visit) -> Done:
    """Put it back, as it was or with what was typed."""
    asked = visit.in_path(resource.InLetter)
    queue = (await resource.show_dead_letter(visit.desk, asked)).queue
    typed = visit.form.get("message")
    body = resource.Replay(letter_ids=[asked.letter_id])
    if typed is not None:
        body.message = payload_typed(typed)
    done = await resource.replay_dead_letters(visit.desk, InQueue(queue), body)
    sent = done.items[0].msg_id
    if sent is None:
        return Done(f"/dead/{asked.letter_id}", "It was not put back: another message has its unique key.")
    return Done(f"/queues/{segment(queue)}/messages/{sent}", f"The letter is put back as message {sent}.")


@action("/dead/{letter_id}/discard", of=letter)
async def discard(visit: Visit) -> Done:
    """Delete it."""
    asked = visit.in_path(resource.InLetter)
    queue = (await resource.show_dead_letter(visit.desk, asked)).queue
    await resource.discard_dead_letters(
        visit.desk, InQueue(queue), resource.Discard(letter_ids=[asked.letter_id])
    )
    return Done("/dead", f"Letter {asked.letter_id} is deleted.")


def _view(shown: resource.DeadLetter, *, revealed: bool = False) -> View:
    return View(f"Dead letter {shown.letter_id}", {"letter": shown, "revealed": revealed})
