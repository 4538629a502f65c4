"""What a step can ask for beside its inputs."""

from __future__ import annotations

from typing import NoReturn

from postmill.handlers.context import Context
from postmill.model.errors import Refused


class StepContext(Context):
    """The context of one attempt at a step: as a handler's, but that a step ends with what it returns, and
    with nothing that it does before.
    """

    def transaction(self) -> NoReturn:
        """Not here: what the step returns is known when it is over, and not when its transaction is."""
        _refuse(
            "transaction", "Use ctx.db with a transaction of its own, so that a second attempt does no harm."
        )

    def send(self, *_message: object, **_options: object) -> NoReturn:
        """Not here: a message that follows a step is a step of the flow."""
        _refuse(
            "send", "Add a step that sends it, or send it with a client: async with ctx.db as connection."
        )


def _refuse(name: str, hint: str) -> NoReturn:
    raise Refused(
        f"ctx.{name} can't be used in a step of a flow.",
        why="A step is completed by what it returns, together with what follows it in its run.",
        hint=hint,
    )
