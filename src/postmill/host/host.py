"""The function host: every function of a folder, each in processes of its own."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import orjson

from postmill.host import discovery
from postmill.host.background import Background
from postmill.host.discovery import concern_all
from postmill.host.function_info import info_of
from postmill.host.instance.claims import Claims
from postmill.host.instance.instance import Instance, State
from postmill.host.instance.relay import WATCH_AFTER_S, Relay, SharedTimer
from postmill.host.instance.startup import boot_of
from postmill.host.launch.accounts import accounts_of
from postmill.host.launch.launching import launcher
from postmill.host.memory import Memory
from postmill.host.pool import Pool
from postmill.host.reload import Reload
from postmill.host.supervisor import Supervisor
from postmill.host.watching import Watch
from postmill.model.errors import PostmillError
from postmill.model.events import Event
from postmill.model.functions.failures import FunctionNotFound, ResponseTimeout
from postmill.model.functions.limits import EndReason
from postmill.service.events import Events

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from postmill.host.configuration import Configuration
    from postmill.host.discovery import Source
    from postmill.host.launch.launcher import Launcher
    from postmill.model.config.address import Address
    from postmill.model.errors import InvalidFunction
    from postmill.model.functions.function_info import FunctionInfo
    from postmill.model.functions.settings import FunctionSettings, RuntimeSettings
    from postmill.service.service import Service
    from postmill.web.asgi import Receive, Scope, Send
    from postmill.wire.frames import Account, Boot

_BY_ITSELF = (EndReason.EARLY_DROP, EndReason.EVENT_LOOP_COMPLETED)
"""Ends after which a worker holds no messages."""


class Host:
    """The functions of a folder. ``start`` and ``stop`` may be called in any order, and again."""

    def __init__(
        self,
        folder: Path,
        runtime: RuntimeSettings,
        functions: Mapping[str, FunctionSettings],
        environment: Mapping[str, str] | Callable[[], Mapping[str, str]],
        address: Address | None,
        *,
        make_launcher: Callable[[Sequence[str], Callable[[], None]], Launcher] = launcher,
        watched: Sequence[Path] = (),
        configuration: Configuration | None = None,
    ) -> None:
        """``functions``: those with settings of their own; the others are found in ``folder``.
        ``environment``: the variables of every isolate, and no others; a callable is called for each.
        ``address``: the database of workers. ``watched``: files elsewhere whose change concerns every
        function. ``configuration``: where ``runtime`` and ``functions`` come from, to be followed too.
        """
        self.events = Events()
        self.recent = Memory(self.events)
        self.on_giving_up: list[Callable[[Service], object]] = []
        """Called when a part of it has failed for good: this host can't go on."""
        self._folder = folder.absolute()
        self._runtime = runtime
        self._configured = functions
        self._environment = environment if callable(environment) else lambda: environment
        self._own = _database(address)
        self._watched = [path.absolute() for path in watched]
        self._configuration = configuration
        self._settings_file = [] if configuration is None else [configuration.path]
        self._faults: Mapping[str, InvalidFunction] = {}
        self._accounts: Mapping[str, Account] = {}
        self._pools: dict[str, Pool] = {}
        self._launcher = make_launcher(runtime.preload, self._isolates_lost)
        self._claims = Claims(address, self.events) if address is not None else None
        self._slow = SharedTimer(WATCH_AFTER_S)
        self._background = Background(self.events)
        self._services: list[Service] = []
        self._order = asyncio.Lock()
        self._started = False
        self._starts_all = False

    async def start(self, *, reload: bool = False) -> None:
        """Find the functions and be ready to start them; with ``reload``, follow changes of their files.

        Raises :class:`InvalidFunction` for a folder or a table that breaks the rules; with ``reload`` such a
        fault is logged, and the other functions are served. Raises as ``accounts_of`` for a user that
        functions can't run as.
        """
        async with self._order:
            if self._started:
                return
            named = [self._runtime.user, *(each.user for each in self._configured.values())]
            self._accounts = accounts_of(named)
            if reload:
                self._adopt(self._survey()[1])
            else:
                self._adopt(discovery.discover(self._folder, self._runtime, self._configured))
            self._services = [Supervisor(self._pools.values, self.events)]
            if reload:
                # Two versions of one size within a second would share their bytecode.
                self._own["PYTHONDONTWRITEBYTECODE"] = "1"
                watch = Watch(self._places)  # before the first function can have been imported
                self._services.append(Reload(watch, self._follow, self._background.failed, self.events))
            await self._launcher.start()
            for service in self._services:
                service.on_giving_up += self.on_giving_up
                service.start()
            self._started = True

    async def start_workers(self) -> None:
        """Start every function, so that the workers among them run; from now on also those that are added.
        Returns once each has started or failed to; those that have failed are tried again.
        """
        self._starts_all = True
        pools = [pool for pool in self._pools.values() if pool.kind is None and pool.source.settings.enabled]
        for started in await asyncio.gather(*(pool.try_once() for pool in pools), return_exceptions=True):
            if isinstance(started, Exception):
                self._background.failed(started)

    async def stop(self, grace_s: float | None = None) -> None:
        """Retire every isolate, wait up to ``grace_s`` seconds, kill the rest. When cancelled, it may be
        called again with less grace.
        """
        async with self._order:
            if not self._started:
                return
            for service in reversed(self._services):
                await service.stop()
            grace_s = self._runtime.grace_s if grace_s is None else grace_s
            for pool in self._pools.values():
                self._background.run(pool.stop(grace_s))
            await self._background.finish()
            self._pools.clear()  # another start finds its functions anew
            await self._launcher.stop()
            if self._claims is not None:
                await self._claims.close()
            self._started = False

    def functions(self) -> Sequence[FunctionInfo]:
        """Every function, by slug."""
        return [info_of(pool) for _, pool in sorted(self._pools.items())]

    def settings_of(self, slug: str) -> FunctionSettings | None:
        """Those of one function; None when there is none of that name."""
        pool = self._pools.get(slug)
        return None if pool is None else pool.source.settings

    async def kind_of(self, slug: str) -> str | None:
        """What the function is: ``handler``, ``app`` or ``worker``. Starts one that was never started, and an
        application that does not run: its files may have changed since.

        Raises a :class:`FunctionFailure` when it can't be started.
        """
        pool = self._pool(slug)
        if pool.kind in {"handler", "worker"}:
            return pool.kind
        for instance in pool.instances:
            if instance.state == State.READY:
                return instance.kind
        instance = await pool.take()
        instance.left()
        return instance.kind

    async def handle(self, slug: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one ASGI exchange (``http`` or ``websocket``) on an instance of the function.

        Before the response has started, raises a :class:`FunctionFailure`; after it, :class:`ResponseCut`.
        A worker is started by any request, and the answer says whether it ran already.
        """
        pool = self._pool(slug)
        with self.recent.request(slug):
            await self._exchange(pool, scope, receive, send)

    async def _exchange(self, pool: Pool, scope: Scope, receive: Receive, send: Send) -> None:
        pool.wanted = pool.wanted or pool.kind == "worker"
        was_running = pool.kind == "worker" and any(each.state == State.READY for each in pool.instances)
        instance = await pool.take()
        if instance.kind == "worker":
            instance.left()
            pool.wanted = True
            await _answer_for_worker(send, instance, "running" if was_running else "started")
            return
        try:
            relay = Relay(instance, scope, receive, send)
        except BaseException:
            instance.left()
            raise
        try:
            await relay.run(self._runtime.response_timeout_s, self._slow)
        except ResponseTimeout:
            pool.run(pool.replace(instance, "response timeout"))  # it may hang altogether
            raise

    async def recycle(self, slug: str) -> None:
        """Replace every instance of a function: the new one is up before the old one takes nothing more, and
        goes on with what it has. If none runs, one is started. Raises :class:`BootFailed` when a new one does
        not start; the old one stays.
        """
        pool = self._pool(slug)
        await pool.recycle()

    async def start_function(self, slug: str) -> None:
        """Start an instance of a function unless one runs; a worker is kept running. Raises
        :class:`BootFailed` when it does not start.
        """
        await self._pool(slug).start()

    async def stop_function(self, slug: str) -> None:
        """End every instance of a function; a worker stays stopped until its next request."""
        await self._pool(slug).end_instances(self._runtime.grace_s)

    def _pool(self, slug: str) -> Pool:
        pool = self._pools.get(slug)
        if pool is None or not pool.source.settings.enabled:
            raise FunctionNotFound(f"There is no function {slug}.")
        return pool

    @property
    def failing(self) -> list[str]:
        """Functions that should run now and do not: they have not started yet, or keep failing."""
        return [slug for slug, pool in sorted(self._pools.items()) if pool.is_failing]

    @property
    def trouble(self) -> str | None:
        """Why requests should not be sent here now, for the readiness probe."""
        own = next(filter(None, (service.trouble for service in self._services)), None)
        return own or (f"the function {self.failing[0]} does not start" if self.failing else None)

    def _adopt(self, found: Mapping[str, Source]) -> list[Pool]:
        """Add pools for new functions, take out those that are gone. Returns what was taken out."""
        for slug, source in found.items():
            if slug not in self._pools:
                pool = Pool(source, self._runtime, self.events, self._make, self._on_death)
                pool.wanted = self._starts_all
                self._pools[slug] = pool
        return [self._pools.pop(slug) for slug in set(self._pools) - set(found)]

    def _make(self, source: Source, on_change: Callable[[], None]) -> Instance:
        account = self._accounts.get(source.settings.user)

        def boot(execution_id: str) -> Boot:
            variables = {**self._environment(), **self._own}
            return boot_of(source, self._folder, variables, account, execution_id)

        return Instance(source, boot, self._launcher, self.events, on_change)

    async def _on_death(self, instance: Instance, reason: EndReason) -> None:
        if self._claims is not None and instance.worker_ids and reason not in _BY_ITSELF:
            await self._claims.give_back(instance.slug, instance.worker_ids, reason.value)

    def _places(self) -> list[Path]:
        """What is to be watched: a function's file may be named in its table, and be anywhere."""
        files = [pool.source.path for pool in list(self._pools.values())]
        outside = [path for path in files if not path.is_relative_to(self._folder)]
        return [self._folder, *outside, *self._watched, *self._settings_file]

    def _follow(self, changed: set[Path]) -> None:
        """Replace the instances of the functions that a change concerns: a function's own files, or shared
        files for all. Waits for none of them: a function that does not start must not delay the others.
        """
        self._reconfigure(changed)
        faults, found = self._survey()
        before = dict(self._pools)
        gone = self._adopt(found)
        sources = [*found.values(), *(pool.source for pool in gone)]
        shared = concern_all(changed - set(self._settings_file), sources, faults, self._folder)
        rolled = [
            pool
            for slug, pool in before.items()
            if slug in found
            and (shared or found[slug] != pool.source or any(map(found[slug].concerns, changed)))
        ]
        files = sorted(_shown(path, self._folder) for path in changed)
        self.events.emit(Event.FUNCTION_CHANGED, files=files, functions=[pool.slug for pool in rolled])
        for pool in rolled:
            pool.runtime = self._runtime
            pool.change(found[pool.slug], start=self._starts_all)
        for pool in gone:
            self._background.run(pool.stop(self._runtime.grace_s))

    def _survey(self) -> tuple[Mapping[str, InvalidFunction], dict[str, Source]]:
        """The functions as they are now. A function with a fault is served as before, if it can be."""
        survey = discovery.survey(self._folder, self._runtime, self._configured)
        found = dict(survey.sources)
        for slug, fault in survey.faults.items():
            if str(fault) != str(self._faults.get(slug)):
                self.events.emit(Event.FUNCTION_BOOT_FAILED, function=slug, error=str(fault))
            if slug in self._pools and os.path.isfile(self._pools[slug].source.path):  # noqa: PTH113 - never raises
                found[slug] = self._pools[slug].source
        self._faults = survey.faults
        return survey.faults, found

    def _reconfigure(self, changed: set[Path]) -> None:
        """Take over the settings in ``postmill.toml``, or log why not."""
        configuration = self._configuration
        if configuration is None or configuration.path not in changed:
            return
        try:
            configuration.read_again()
            runtime, functions = configuration.runtime(self._runtime), configuration.now.functions
            self._accounts = accounts_of([runtime.user, *(each.user for each in functions.values())])
        except PostmillError as error:
            self.events.emit(Event.SETTINGS_REFUSED, error=str(error))
            return
        self._runtime, self._configured = runtime, functions
        if configuration.waiting:
            self.events.emit(Event.RESTART_NEEDED, settings=configuration.waiting)

    def _isolates_lost(self) -> None:
        self.events.emit(Event.ISOLATES_LOST)


def _shown(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _database(address: Address | None) -> dict[str, str]:
    if address is None:
        return {}
    given = {"POSTMILL_DB_URL": address.url, "SUPABASE_DB_URL": address.url}
    if address.direct_url:
        given["POSTMILL_LISTEN_URL"] = address.direct_url
    return given


async def _answer_for_worker(send: Send, instance: Instance, status: str) -> None:
    told: dict[str, Any] = {
        "status": status,
        "workerId": instance.execution_id,
        "functionName": instance.slug,
    }
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": orjson.dumps(told), "more_body": False})
