"""One of several databases, as code sees it that works there: what it sends in a transaction of that database
must live there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.client import placing
from postmill.client.addressing import queue_of
from postmill.client.batching import Batches
from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from postmill.client.placing import ShardKey
    from postmill.model.databases.databases import Databases
    from postmill.model.queue.addressee import Addressee


class Home:
    """The database ``name`` of ``databases``."""

    def __init__(self, databases: Databases, name: str) -> None:
        self.name = name
        self._databases = databases

    def placed(
        self, to: str | Addressee, payload: object, key: ShardKey, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """``options`` with the message's key in its headers. Raises ``Refused`` when it lives in another
        database, and ``InvalidOption`` where a key is missing or says nothing.
        """
        name, text = placing.home(self._databases, to, payload, key)
        placing.check_here(name, self.name, queue_of(to), text)
        placing.check_neighbours(self._databases, name, text, options)
        return {**options, "headers": placing.kept(text, options.get("headers"))}

    def placed_many(
        self, to: str | Addressee, payloads: Iterable[object], key: Any, options: Mapping[str, Any]
    ) -> tuple[list[object], dict[str, Any]]:
        """The same of many messages, which are returned too: all are looked at before one is sent."""
        batches = Batches(self._databases, to, payloads, key, options)
        for name in batches:
            placing.check_here(name, self.name, queue_of(to), batches.key_of(name))
        if self.name not in batches:
            return [], dict(options)
        return batches.payloads(self.name), batches.options(self.name)


def placed(
    home: Home | None, to: str | Addressee, payload: object, key: ShardKey, options: Mapping[str, Any]
) -> Mapping[str, Any]:
    """See :meth:`Home.placed`; without several databases ``options`` themselves, and no key."""
    if home is not None:
        return home.placed(to, payload, key, options)
    check_no_key(key)
    return options


def check_no_key(key: object) -> None:
    """Refuse a key where there is one database."""
    if key is not None:
        raise InvalidOption(
            "shard_key says nothing: there is one database.",
            hint="Name several in [databases] of postmill.toml; for groups of one queue give group_key.",
        )
