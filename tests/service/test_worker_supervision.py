"""Every background service of a worker is broken before and after each of its waits. Nothing is lost, nothing
runs twice, and nothing stays held.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import types
from typing import TYPE_CHECKING, Any

import pytest

from postmill import Context, Retry, worker
from postmill.engine import engine as engines
from postmill.engine.claim.claimer import Claimer
from postmill.engine.claim.listener import Listener
from postmill.engine.leaving import Leaving
from postmill.engine.maintain.audit import Audit
from postmill.engine.settle import settler as settlers
from postmill.engine.settle.settlement import grouped
from postmill.engine.settle.settler import Settler
from postmill.model.events import Event
from postmill.model.queue.outcome import Completed
from postmill.service import service as services
from postmill.service.service import Service
from tests.service.running import finished, running

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator, Iterator

    from postmill.engine.settle.settlement import Pair, Settlement
    from tests.service.running import Running

SERVICES: tuple[type[Service], ...] = (Claimer, Settler, Audit)
LIVES = 16
"""So many times each service is broken: the first life at its first wait, the next one at its second."""
EACH = 3
"""Messages sent in each life."""


class Broken(BaseException):
    """What no service catches by itself."""


class Breaker:
    """Breaks a service's task at one wait: before it waits, or with what it waited for there."""

    def __init__(self, service: Service, error: type[BaseException]) -> None:
        self.lives = 0
        self.ended = asyncio.Event()
        self._error = error
        self._service = service
        self._waits = 0
        service.pauses.max_s = 0.01
        service.on_failure.append(self._failed)
        self._run_once, self._rest = service.run_once, service.rest
        service.run_once = self._broken_batch  # type: ignore[method-assign]
        service.rest = self._broken_rest  # type: ignore[method-assign]

    async def _broken_batch(self) -> bool:
        self.lives = max(self.lives, 1)
        more: bool = await self._driven(self._run_once())
        return more

    async def _broken_rest(self) -> None:
        await self._driven(self._rest())

    @types.coroutine
    def _driven(self, work: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        error: BaseException | None = None
        while True:
            try:
                waited = work.send(None) if error is None else work.throw(error)
            except StopIteration as ended:
                return ended.value
            self._waits += 1
            at, before = divmod(self.lives + 1, 2)
            breaks, error = self.lives <= LIVES and self._waits == at, None
            if breaks and before:
                error = self._error("broken on purpose")
                continue
            try:
                yield waited
            except BaseException as thrown:
                error = thrown
            if breaks:
                error = self._error("broken on purpose")

    def _failed(self, _error: BaseException) -> None:
        self._service.completed_batch()  # it is never given up
        self.lives += 1
        self._waits = 0
        self.ended.set()


async def feed(run: Running, breaker: Breaker, service: Service) -> int:
    """Send messages until the service has lived through all its breaks. Returns how many."""
    sent = 0
    while breaker.lives <= LIVES:
        breaker.ended.clear()
        lives = breaker.lives
        for _ in range(EACH):
            await run.send("{}")
        sent += EACH
        for _ in range(20):
            service.wake()
            await asyncio.sleep(0.01)
            if breaker.lives != lives:
                break
    return sent


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit, Broken])
@pytest.mark.parametrize("kind", SERVICES)
async def test_a_service_that_breaks_at_any_wait_loses_nothing(
    database_url: str, kind: type[Service], error: type[BaseException]
) -> None:
    """The service ends where nobody expects it: what it held has an owner again within one beat."""
    ran: list[int] = []

    @worker(max_concurrent=3, visibility_timeout=3600, max_poll_seconds=0.5)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        ran.append(ctx.message.msg_id)

    async with running(database_url, handle, begin=False) as run:
        breakers: list[tuple[Service, Breaker]] = []

        def arm(each: Any) -> None:
            (service,) = [service for service in each.services if isinstance(service, kind)]
            breakers.append((service, Breaker(service, error)))

        run.engine.on_worker.append(arm)
        await run.engine.start()
        ((service, breaker),) = breakers
        sent = await feed(run, breaker, service)
        await run.true_in_database(f"(select count(*) = {sent} from pgmq.a_tasks)")
        await run.let_go()
        assert await run.account() == {"queue": 0, "archive": sent, "dead": 0, "claims": 0}
        assert sorted(ran) == sorted(set(ran))
        assert len(ran) == sent
        assert run.worker.held_messages.unsettled == 0
        assert run.engine.not_ready is None
        assert run.events(Event.MESSAGE_RETRYING, Event.MESSAGE_DEAD) == []
    gc.collect()  # a driver that is cut while it connects leaves a socket behind, and Python complains of it


def test_every_service_of_a_worker_is_broken_here() -> None:
    """A new service of the engine that may hold messages joins the test above. The others are broken with
    every service there is, in ``test_every_service``: the listener, and what looks when a process leaves.
    """
    known = [kind for kind in Service.__subclasses__() if not inspect.isabstract(kind)]
    kinds = {kind for kind in known if kind.__module__.startswith("postmill.engine.")}
    assert kinds - {Listener, Leaving} == set(SERVICES)


async def test_a_message_without_a_place_is_given_up(database_url: str) -> None:
    """Its slot is gone and there is no outcome: without the audit it would be renewed for ever."""
    began = asyncio.Event()

    @worker(max_concurrent=1, visibility_timeout=3600, max_poll_seconds=0.5)
    async def handle(number: int, ctx: Context) -> None:
        if ctx.message.lost_leases == 0 and number == 1:
            began.set()
            await ctx.stopping.wait()

    async with running(database_url, handle) as run:
        await run.send("1")
        await began.wait()
        slot = run.worker.dispatcher.slot_of_id(1)
        assert slot is not None
        slot.messages = ()
        run.worker.audit.wake()
        ((failed),) = await run.until(Event.SERVICE_FAILED)
        assert (failed["service"], "[1]" in failed["reason"]) == ("audit", True)
        await run.let_go()
        assert await run.db.fetchval("select kind from postmill.failures") == "lost_lease"
        assert run.worker.held_messages.held == []


async def test_an_outcome_that_breaks_the_settler_takes_no_other_along(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One outcome raises each time it is turned into a statement: it alone gets another one."""
    release = asyncio.Event()

    def broken(pairs: list[Pair], *more: Any) -> Iterator[Settlement]:
        if any(message.msg_id == 3 and isinstance(outcome, Completed) for message, outcome in pairs):
            raise RuntimeError("a bug")
        return grouped(pairs, *more)

    @worker(max_concurrent=10, visibility_timeout=3600, retry=Retry.none)
    async def handle(number: int) -> None:
        await release.wait()

    async with running(database_url, handle) as run:
        settler = run.worker.settler
        settler.pauses.max_s = 0.01
        monkeypatch.setattr(settlers, "grouped", broken)
        for number in range(5):
            await run.send(str(number))
        await run.until(Event.MESSAGE_CLAIMED, count=5)
        release.set()
        assert await finished(run, 5) == {"queue": 0, "archive": 4, "dead": 1, "claims": 0}
        assert settler.trouble is None


async def test_a_worker_that_can_not_go_on_gives_up_what_it_holds(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service is dead for good and nobody stops the engine: its heartbeat went on for ever, and with it the
    lease of what no slot would finish.
    """
    monkeypatch.setattr(engines, "STOP_S", 0.5)
    monkeypatch.setattr(services, "MAX_FRUITLESS", 0)
    began = asyncio.Event()

    @worker(visibility_timeout=3600, grace=0.1)
    async def handle(number: int, ctx: Context) -> None:
        began.set()
        await ctx.stopping.wait()

    async with running(database_url, handle) as run:
        await run.send("1")
        await began.wait()
        settler = run.worker.settler

        works = settler.run_once

        async def broken() -> bool:
            settler.run_once = works  # type: ignore[method-assign]
            raise RuntimeError("broken")

        given_up = asyncio.Event()
        settler.on_giving_up.append(lambda _: given_up.set())
        settler.run_once = broken  # type: ignore[method-assign]
        settler.wake()
        await given_up.wait()
        assert "for good" in str(run.engine.not_ready)
        await run.true_in_database("exists (select from postmill.workers where stop_reason = 'failed')")
