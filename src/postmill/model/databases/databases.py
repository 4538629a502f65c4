"""The databases of a project by name, and the routes of its queues. Pure: nothing here connects."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from postmill.model.config import address as addresses
from postmill.model.databases.rendezvous import home
from postmill.model.errors import InvalidOption
from postmill.model.option_rules import did_you_mean
from postmill.model.queue.queue_name import usable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from postmill.model.config.address import Address

NAME = re.compile(r"[a-z][a-z0-9_]{0,29}")
"""What a database may be called: its name becomes a part of a variable's name, of JSON and of log lines."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where the messages of one queue live."""

    over: tuple[str, ...]
    """The databases that take new messages. With several, a message's key decides which."""
    shard_by: str | None = None
    """The field of the payload that holds the key of a message that is sent without one."""

    def __post_init__(self) -> None:
        if not self.over:
            raise InvalidOption(
                "A route has no database: over is empty.", hint='Name one at least: over = ["eu1"].'
            )
        twice = next((name for name in self.over if self.over.count(name) > 1), None)
        if twice is not None:
            raise InvalidOption(f"A route names the database {twice!r} twice.", hint="Name it once.")
        if self.shard_by is not None and not self.shard_by:
            raise InvalidOption("A route's shard_by is empty.", hint="Name a field of the payload, or none.")


@dataclass(frozen=True, slots=True)
class Databases:
    """Databases by name. A queue without a route lives in the ``main`` one."""

    addresses: Mapping[str, Address] = field(repr=False)
    main: str
    routes: Mapping[str, Route] = field(default_factory=dict)
    schedules: str = ""
    """The database in which schedules live and fire; empty: the main one."""
    flows: str = ""
    """The database in which flows and their runs live; empty: the main one."""

    @classmethod
    def of(
        cls,
        urls: Mapping[str, str],
        routes: Mapping[str, Route] | None = None,
        *,
        main: str = "",
        schedules: str = "",
        flows: str = "",
    ) -> Databases:
        """From addresses as they are written. ``main`` is the first one when nothing is said. Raises
        :class:`InvalidOption` and ``InvalidAddress``, and shows no password.
        """
        found = {name: addresses.parse(url, source=f"the database {name}") for name, url in urls.items()}
        return cls(found, main or next(iter(found), ""), routes or {}, schedules, flows)

    def __post_init__(self) -> None:
        if not self.addresses:
            raise InvalidOption("No database is named.", hint="Name one at least, with its address.")
        self._check_names()
        for name in (self.main, *filter(None, (self.schedules, self.flows))):
            self.check(name)
        for queue, route in self.routes.items():
            usable(queue)
            for name in route.over:
                self.check(name, of=f"The route of {queue}")

    def _check_names(self) -> None:
        seen: dict[str, str] = {}
        for name, where in self.addresses.items():
            if not NAME.fullmatch(name):
                raise InvalidOption(
                    f"A database can't be called {name!r}.",
                    why="A name has up to 30 of a-z, 0-9 and _, and begins with a letter.",
                )
            first = seen.setdefault(where.url, name)
            if first != name:
                raise InvalidOption(
                    f"{first} and {name} are one database: they have the same address.",
                    why="Messages would be counted and claimed twice.",
                    hint="Keep one of the two names.",
                )

    @property
    def names(self) -> tuple[str, ...]:
        """Every database's name, in the order in which they are written."""
        return tuple(self.addresses)

    @property
    def of_schedules(self) -> str:
        """The database in which schedules live."""
        return self.schedules or self.main

    @property
    def of_flows(self) -> str:
        """The database in which flows live."""
        return self.flows or self.main

    @property
    def at_flows(self) -> Address:
        """Where flows live."""
        return self.addresses[self.of_flows]

    @property
    def at_schedules(self) -> Address:
        """Where schedules live."""
        return self.addresses[self.of_schedules]

    def check(self, name: str, *, of: str = "") -> str:
        """``name`` itself. Raises :class:`InvalidOption` where no database has it; ``of`` says who asks."""
        if name not in self.addresses:
            raise InvalidOption(
                f"{of} names the database {name!r}, which there is not."
                if of
                else f"There is no database {name!r}.",
                why=f"The databases are {', '.join(self.addresses)}.",
                hint=did_you_mean(name, self.addresses),
            )
        return name

    def over(self, queue: str) -> tuple[str, ...]:
        """The databases that take new messages of a queue."""
        route = self.routes.get(queue)
        return (self.main,) if route is None else route.over

    def home(self, queue: str, key: str | None) -> str:
        """The database in which a message of ``queue`` with this key lives. Raises :class:`InvalidOption` for
        a key that is missing, and for one that decides nothing because the queue has no route.
        """
        route = self.routes.get(queue)
        if route is None:
            if key is not None:
                raise InvalidOption(
                    f"Queue {queue} has no route, so that shard_key says nothing.",
                    why=f"It lives in {self.main}.",
                    hint=did_you_mean(queue, self.routes) or "Leave shard_key out, or add a route.",
                )
            return self.main
        if key is None:
            if len(route.over) == 1:
                return route.over[0]
            raise InvalidOption(
                f"A message of queue {queue} needs a key.",
                why=f"It lives in one of {', '.join(route.over)}, and the key decides in which.",
                hint="Give shard_key."
                if route.shard_by is None
                else f"Give shard_key, or a payload with the field {route.shard_by!r}.",
            )
        return home(key, route.over)

    def holders(self, queue: str, present: Iterable[str]) -> tuple[str, ...]:
        """The databases from which workers of ``queue`` take messages: those of its route, and those of
        ``present`` in which the queue was found: what a former route has left there.
        """
        return tuple(dict.fromkeys((*self.over(queue), *present)))
