"""Flows over HTTP: runs are started, read, steered and watched. Which path leads where is in the gateway's
table of routes, and what a run does is the database's to say.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from postmill.auth import run_token
from postmill.client import runs
from postmill.client.awaited import MAX_ID
from postmill.client.runs import AsyncRuns, RunState
from postmill.client.sending import Statement
from postmill.client.targets import async_executor
from postmill.flows.watching import Watching
from postmill.gateway import run_events
from postmill.gateway.run_requests import fields_of, json_of, options_of, run_number, words
from postmill.gateway.wrappers import header
from postmill.model.errors import InvalidOption, NotFound, Refused
from postmill.model.option_rules import whole_number
from postmill.sql.catalog import statement
from postmill.web.asgi import respond

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from postmill.auth.credentials import Trusted
    from postmill.gateway.wrappers import Response
    from postmill.web.asgi import Receive, Scope

KEY_HEADER = b"idempotency-key"
"""As the IETF's draft of that header has it; its quotes may be left out."""
MOST_RUNS = 200
"""Runs in one page at most. 200: more than a screen shows, and read in a few milliseconds."""
_START: dict[str, Callable[[str], Any]] = {
    "delay": float,
    "deadline": float,
    "priority": int,
    "tags": words,
    "version": int,
}
_LIST: dict[str, Callable[[str], Any]] = {"flow": str, "state": str, "tag": str, "before": int, "limit": int}
_JSON = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
"""What is answered is so at this moment."""


class Flows:
    """Each method answers one route; ``number`` is the run's. A failure is raised. The database is first
    asked when a request needs it.
    """

    def __init__(
        self, url: str, trust: Callable[[], Trusted], clock: Callable[[], float] = time.time
    ) -> None:
        """``url``: the database's address. ``trust``: whose secret signs the token of a run."""
        self._executor = async_executor(url)
        self._runs = AsyncRuns(self._executor)
        self._watching = Watching(self._executor)
        self._trust = trust
        self._clock = clock

    async def close(self) -> None:
        """Close the connections."""
        await self._watching.close()
        await self._executor.close()

    async def start(self, scope: Scope, receive: Receive, response: Response, flow: str) -> None:
        """Start a run: 201, or 200 when the one that has the key was there."""
        key = _key(scope)
        given = msgspec.Raw((await json_of(receive, "{}")).encode())
        asked = [runs.starting(flow, given, key=key, **options_of(scope, _START))]
        if key is not None:
            asked.append(Statement(statement("gateway_is_new"), (flow, key), ""))
        run_id, *is_new = await self._executor.run(iter(asked))
        existed = is_new == [False]
        found = {"run_id": run_id, "existed": existed, **self._token(run_id)}
        await _say(scope, response, found, 200 if existed else 201)

    async def runs(self, scope: Scope, _: Receive, response: Response) -> None:
        """Runs, newest first."""
        asked = {
            "flow": None,
            "state": None,
            "tag": None,
            "before": None,
            "limit": 50,
            **options_of(scope, _LIST),
        }
        whole_number("limit", asked["limit"], 1, MOST_RUNS)
        if asked["before"] is not None:
            whole_number("before", asked["before"], 1, MAX_ID)
        found = await self._executor.look(Statement(statement("gateway_runs"), tuple(asked.values()), ""))
        await respond(scope, response, 200, _JSON, f"[{', '.join(found)}]".encode())

    async def show(self, scope: Scope, _: Receive, response: Response, number: str) -> None:
        """A run with its steps."""
        found = await self._look("gateway_run", run_number(number))
        await respond(scope, response, 200, _JSON, found.encode())

    async def output(self, scope: Scope, _: Receive, response: Response, number: str, step: str) -> None:
        """What a step has returned."""
        found = await self._runs.output(run_number(number), step)
        await respond(scope, response, 200, _JSON, found.encode())

    async def events(self, scope: Scope, receive: Receive, response: Response, number: str) -> None:
        """What happens to a run, as it happens."""
        seen = header(scope, b"last-event-id")
        position = None if not seen else seen.decode("latin-1").removesuffix(run_events.ENDED)
        batches = self._watching.batches(run_number(number), position)
        await run_events.stream(scope, receive, response, batches, seen=seen)

    async def token(self, scope: Scope, _: Receive, response: Response, number: str) -> None:
        """Another token of a run."""
        run_id = (await self._runs.state(run_number(number))).run_id
        await _say(scope, response, {"run_id": run_id, **self._token(run_id)}, 201)

    async def cancel(self, scope: Scope, receive: Receive, response: Response, number: str) -> None:
        """Cancel a run."""
        run_id = run_number(number)
        if not await self._runs.cancel(run_id, await _reason(receive)):
            raise _over(await self._runs.state(run_id), "cancelled")
        await _say(scope, response, {"run_id": run_id, "cancelled": True})

    async def pause(self, scope: Scope, receive: Receive, response: Response, number: str) -> None:
        """Start nothing more of a run."""
        pause = partial(self._runs.pause, reason=await _reason(receive))
        await self._steer(pause, scope, response, number)

    async def resume(self, scope: Scope, _: Receive, response: Response, number: str) -> None:
        """Let a paused run go on."""
        await self._steer(self._runs.resume, scope, response, number)

    async def retry(self, scope: Scope, _: Receive, response: Response, number: str) -> None:
        """Let a failed run go on."""
        await self._steer(self._runs.retry, scope, response, number)

    async def fork(self, scope: Scope, receive: Receive, response: Response, number: str) -> None:
        """Start a run from a step of another one, or with nothing of it but its input."""
        run_id = run_number(number)
        fields = await fields_of(receive, "step", "input", "outputs")
        if not isinstance(fields.get("step", ""), str):
            raise InvalidOption(f"step={fields['step']!r} is no text.", hint='For example: {"step": "fetch"}')
        made = await self._runs.fork(run_id, **fields)
        await _say(scope, response, {"run_id": made, "forked_from": run_id, **self._token(made)}, 201)

    async def signal(
        self, scope: Scope, receive: Receive, response: Response, number: str, name: str
    ) -> None:
        """Send a run a signal: the body is its value."""
        await self._signal(scope, receive, response, run_number(number), name)

    async def approve(
        self, scope: Scope, receive: Receive, response: Response, number: str, step: str
    ) -> None:
        """Answer the step of a run that waits for an approval: the body is the answer."""
        run_id = run_number(number)
        await self._signal(
            scope, receive, response, run_id, await self._look("gateway_signal_of", run_id, step)
        )

    async def _signal(
        self, scope: Scope, receive: Receive, response: Response, run_id: int, name: str
    ) -> None:
        many = options_of(scope, {"many": _flag}).get("many", False)
        value = msgspec.Raw((await json_of(receive, "null")).encode())
        taken = await self._runs.signal(run_id, name, value, many=many)
        if not taken and ((its := await self._runs.state(run_id)).has_ended or its.state == "undoing"):
            raise _over(its, f"sent the signal {name!r}")
        await _say(scope, response, {"run_id": run_id, "taken": taken})

    async def _steer(
        self, steer: Callable[[int], Awaitable[None]], scope: Scope, response: Response, number: str
    ) -> None:
        run_id = run_number(number)
        await steer(run_id)
        await _say(scope, response, {"run_id": run_id, "state": (await self._runs.state(run_id)).state})

    async def _look(self, name: str, run_id: int, *arguments: object) -> str:
        """The one row of a statement about a run. Raises :class:`NotFound`."""
        found = await self._executor.look(Statement(statement(name), (run_id, *arguments), ""))
        if not found:
            about = "".join(f" with a step {step!r} that waits for something" for step in arguments)
            raise NotFound(
                f"There is no run {run_id}{about}.", hint="Runs are removed a while after their end."
            )
        return str(found[0])

    def _token(self, run_id: int) -> dict[str, Any]:
        token = run_token.issue(self._trust().keys, run_id, self._clock())
        return {"token": token, "expires_in": run_token.LIFE_S}


async def _reason(receive: Receive) -> str | None:
    """Why a run is steered, as the body says."""
    reason = (await fields_of(receive, "reason")).get("reason")
    if reason is not None and not isinstance(reason, str):
        raise InvalidOption(f"reason={reason!r} is no text.")
    return reason


def _over(run: RunState, asked: str) -> Refused:
    return Refused(f"Run {run.run_id} can't be {asked}.", why=f"It is {run.state}.")


def _key(scope: Scope) -> str | None:
    given = header(scope, KEY_HEADER)
    if given is None:
        return None
    text = given.decode("latin-1").strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError("it is true or false")
    return text == "true"


async def _say(scope: Scope, response: Response, content: object, status: int = 200) -> None:
    await respond(scope, response, status, _JSON, msgspec.json.encode(content))
