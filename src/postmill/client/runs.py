"""Runs of flows: from arguments to statements, and what these return. Without I/O but for the two thin
classes at the end, which run them for the clients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec

from postmill.client.options import MAX_KEY, known_names, time_s
from postmill.client.options import key as checked_key
from postmill.client.options import priority as checked_priority
from postmill.client.sending import Statement
from postmill.model.errors import InvalidOption, NotFound
from postmill.model.queue.payload import loads, to_json
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta
    from typing import Unpack

    from postmill.client.targets import AsyncExecutor, Executor


class StartOptions(TypedDict, total=False):
    """How a run is started; see ``docs/reference/flows.md``."""

    key: str | None
    delay: float | timedelta | None
    tags: Sequence[str]
    deadline: float | timedelta | None
    priority: int | None
    version: int | None


OPTIONS = tuple(StartOptions.__annotations__)
"""Every option's name."""


_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class RunState:
    """How a run is doing."""

    run_id: int
    state: str = ""
    """``running``, ``waiting``, ``paused``, ``undoing``, ``completed``, ``failed`` or ``cancelled``."""
    output_json: str | None = None
    """Of a run that is completed: what a workflow has returned; of a graph flow the outputs of the steps that
    no other step needs, by name.
    """
    culprit: str | None = None
    """The step for whose sake it has failed."""
    reason: str | None = None
    """Why it has failed, was cancelled or is paused."""

    @property
    def output(self) -> Any:
        """The output, decoded; None when there is none."""
        return None if self.output_json is None else loads(self.output_json)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in {"completed", "failed", "cancelled"}


def starting(flow: str, input: object, **options: Unpack[StartOptions]) -> Statement:  # noqa: A002
    """The statement that starts a run. Raises ``InvalidOption`` and ``InvalidPayload``."""
    known_names(options, OPTIONS)
    arguments = (
        flow,
        to_json(input, "input").decode(),
        checked_key("key", options.get("key")),
        time_s("delay", options.get("delay"), least="0"),
        _tags(options.get("tags", ())),
        time_s("deadline", options.get("deadline")),
        checked_priority(options.get("priority")),
        options.get("version"),
    )
    return Statement(statement("client_start_flow"), arguments, "")


def asking(run_id: int) -> Statement:
    """The statement that asks how a run is doing."""
    return _about("client_run", run_id)


def state(found: Sequence[str | None], run_id: int) -> RunState:
    """The answer of :func:`asking`. Raises :class:`NotFound`."""
    if not found or found[0] is None:
        raise NotFound(f"There is no run {run_id}.", hint="Runs are removed a while after their end.")
    said: dict[str, msgspec.Raw] = _parts(found[0])
    output = said.pop("output", None)
    texts = {name: loads(bytes(value)) for name, value in said.items()}
    return RunState(run_id, output_json=None if output is None else bytes(output).decode(), **texts)


def asking_output(run_id: int, step: str) -> Statement:
    """The statement that asks what a step has returned."""
    return _about("client_step_output", run_id, step)


def asking_why(run_id: int, step: str) -> Statement:
    """The statement that asks why a step has no output."""
    return _about("client_why_no_output", run_id, step)


def no_output(found: Sequence[str], run_id: int, step: str) -> NotFound:
    """The error with the answer of :func:`asking_why`."""
    return NotFound(
        f"Step {step!r} of run {run_id} has no output.",
        why=found[0],
        hint=f"postmill run show {run_id} says how it is doing.",
    )


def cancelling(run_id: int, reason: str | None) -> Statement:
    """The statement that cancels a run."""
    return _about("client_cancel_run", run_id, reason)


def pausing(run_id: int, reason: str | None) -> Statement:
    """The statement that pauses a run."""
    return _about("client_pause_run", run_id, reason)


def resuming(run_id: int) -> Statement:
    """The statement that resumes a paused run."""
    return _about("client_resume_run", run_id)


def signalling(run_id: int, name: str, value: object, *, many: bool) -> Statement:
    """The statement that sends a run a signal. Raises ``InvalidPayload``."""
    return _about("client_signal_run", run_id, name, to_json(value, "signal's value").decode(), many)


def retrying(run_id: int) -> Statement:
    """The statement that lets a failed run go on."""
    return _about("client_retry_run", run_id)


def forking(
    run_id: int,
    step: str | None,
    input: object,  # noqa: A002 - the word of flows
    outputs: Mapping[str, object] | None,
) -> Statement:
    """The statement that starts a run from a step of another one. Raises ``InvalidPayload``."""
    edited = None if input is None else to_json(input, "input").decode()
    given = None if outputs is None else to_json(outputs, "outputs").decode()
    return _about("client_fork_run", run_id, step, edited, given)


def _about(name: str, *arguments: object) -> Statement:
    return Statement(statement(name), arguments, "")


def _tags(tags: Sequence[object]) -> list[object]:
    if isinstance(tags, str) or not all(isinstance(tag, str) and 0 < len(tag) <= MAX_KEY for tag in tags):
        raise InvalidOption(
            f"tags={tags!r} are no tags.",
            why=f"A tag is a text of 1 to {MAX_KEY} characters.",
            hint="Give a list.",
        )
    return list(tags)


def _one(asked: Statement) -> Iterator[Statement]:
    return iter([asked])


class AsyncRuns:
    """Runs of flows, for :class:`AsyncClient`. Each method raises ``NotFound`` where there is no such flow or
    run, ``Refused`` where the run's state does not allow it, ``SchemaMissing`` and ``DatabaseUnavailable``.
    """

    def __init__(self, executor: AsyncExecutor) -> None:
        self._executor = executor

    @property
    def executor(self) -> AsyncExecutor:
        """What runs the client's statements."""
        return self._executor

    async def start(self, flow: str, input: object = None, **options: Unpack[StartOptions]) -> int:  # noqa: A002
        """Start a run of the flow of this name; returns the run's id. ``input``: None is the empty object.

        ``key``: one run of the flow has it; a second start with the same input returns that run's id, and
        with another one raises ``KeyConflict``. ``delay``: in seconds or as a timedelta. ``deadline``: how
        long the run may take. ``tags``: to find it by. ``priority``: 0 to 9, of its tasks. ``version``: of
        the flow's shape, the newest unless it is given. Raises ``InvalidOption``, ``InvalidPayload``.
        """
        asked = starting(flow, {} if input is None else input, **options)
        return int((await self._executor.run(_one(asked)))[0])

    async def state(self, run_id: int) -> RunState:
        """How a run is doing."""
        return state(await self._executor.run(_one(asking(run_id))), run_id)

    async def output(self, run_id: int, step: str) -> str:
        """What a step has returned, as JSON. Raises ``NotFound`` also while it is not completed."""
        found: str | None = (await self._executor.run(_one(asking_output(run_id, step))))[0]
        if found is None:
            raise no_output(await self._executor.run(_one(asking_why(run_id, step))), run_id, step)
        return found

    async def cancel(self, run_id: int, reason: str | None = None) -> bool:
        """Cancel a run; returns whether it had not ended. Steps that run are told."""
        return bool((await self._executor.run(_one(cancelling(run_id, reason))))[0])

    async def pause(self, run_id: int, reason: str | None = None) -> None:
        """Start no further step of a run. Steps that run are finished. Of a paused run the reason changes."""
        await self._executor.run(_one(pausing(run_id, reason)))

    async def resume(self, run_id: int) -> None:
        """Let a paused run go on."""
        await self._executor.run(_one(resuming(run_id)))

    async def signal(self, run_id: int, name: str, value: object, *, many: bool = False) -> bool:
        """Send a run a signal; returns whether it was the first of its name (with ``many``: always)."""
        return bool((await self._executor.run(_one(signalling(run_id, name, value, many=many))))[0])

    async def retry(self, run_id: int) -> None:
        """Let a failed run go on: what has failed, and what was cancelled for its sake, starts again."""
        await self._executor.run(_one(retrying(run_id)))

    async def fork(
        self,
        run_id: int,
        step: str | None = None,
        input: object = None,  # noqa: A002 - the word of flows
        outputs: Mapping[str, object] | None = None,
    ) -> int:
        """Start a run like this one from ``step`` on, with another input or other outputs of earlier steps;
        returns its id. Without ``step`` everything is done anew. Raises ``InvalidPayload`` for an input that
        does not fit.
        """
        return int((await self._executor.run(_one(forking(run_id, step, input, outputs))))[0])


class Runs:
    """Runs of flows, for :class:`Client`: as :class:`AsyncRuns`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def start(self, flow: str, input: object = None, **options: Unpack[StartOptions]) -> int:  # noqa: A002
        """As :meth:`AsyncRuns.start`."""
        asked = starting(flow, {} if input is None else input, **options)
        return int(self._executor.run(_one(asked))[0])

    def state(self, run_id: int) -> RunState:
        """As :meth:`AsyncRuns.state`."""
        return state(self._executor.run(_one(asking(run_id))), run_id)

    def output(self, run_id: int, step: str) -> str:
        """As :meth:`AsyncRuns.output`."""
        found: str | None = self._executor.run(_one(asking_output(run_id, step)))[0]
        if found is None:
            raise no_output(self._executor.run(_one(asking_why(run_id, step))), run_id, step)
        return found

    def cancel(self, run_id: int, reason: str | None = None) -> bool:
        """As :meth:`AsyncRuns.cancel`."""
        return bool(self._executor.run(_one(cancelling(run_id, reason)))[0])

    def signal(self, run_id: int, name: str, value: object, *, many: bool = False) -> bool:
        """As :meth:`AsyncRuns.signal`."""
        return bool(self._executor.run(_one(signalling(run_id, name, value, many=many)))[0])

    def pause(self, run_id: int, reason: str | None = None) -> None:
        """As :meth:`AsyncRuns.pause`."""
        self._executor.run(_one(pausing(run_id, reason)))

    def resume(self, run_id: int) -> None:
        """As :meth:`AsyncRuns.resume`."""
        self._executor.run(_one(resuming(run_id)))

    def retry(self, run_id: int) -> None:
        """As :meth:`AsyncRuns.retry`."""
        self._executor.run(_one(retrying(run_id)))

    def fork(
        self,
        run_id: int,
        step: str | None = None,
        input: object = None,  # noqa: A002 - the word of flows
        outputs: Mapping[str, object] | None = None,
    ) -> int:
        """As :meth:`AsyncRuns.fork`."""
        return int(self._executor.run(_one(forking(run_id, step, input, outputs)))[0])
