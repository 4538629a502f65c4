"""Many messages for several databases: which go where, and the ids in the order of the payloads. No I/O."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from postmill.client import placing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from postmill.model.databases.databases import Databases
    from postmill.model.queue.addressee import Addressee
    from postmill.model.queue.sent import Sent


class Batches:
    """The payloads of one ``send_many``, by database. Iterating gives the databases' names, in the order in
    which they are sent to.
    """

    def __init__(
        self,
        databases: Databases,
        queue: str | Addressee,
        payloads: Iterable[object],
        shard_key: Any,
        options: Mapping[str, Any],
    ) -> None:
        self._options = options
        self._sent: dict[str, Sequence[Sent]] = {}
        self._places: list[str] = []
        self._payloads: dict[str, list[object]] = {}
        self._keys: dict[str, list[str | None]] = {}
        for payload in payloads:
            key = shard_key(payload) if callable(shard_key) else shard_key
            name, text = placing.home(databases, queue, payload, key)
            self._places.append(name)
            self._payloads.setdefault(name, []).append(payload)
            self._keys.setdefault(name, []).append(text)
        for name in self._payloads:
            placing.check_neighbours(databases, name, self.key_of(name), options)

    def __iter__(self) -> Iterator[str]:
        return iter(self._payloads)

    def __contains__(self, name: str) -> bool:
        return name in self._payloads

    def payloads(self, name: str) -> list[object]:
        """What is sent to the database ``name``."""
        return self._payloads[name]

    def key_of(self, name: str) -> str | None:
        """The key of the first message there, to name it in an error."""
        return self._keys[name][0]

    def options(self, name: str) -> dict[str, Any]:
        """The options of what is sent there, with the key of each message in its headers."""
        keys, headers = self._keys[name], self._options.get("headers")
        if len(set(keys)) == 1:
            return {**self._options, "headers": placing.kept(keys[0], headers)}
        in_turn = iter(keys)

        def of_each(payload: object) -> Any:
            return placing.kept(next(in_turn), headers(payload) if callable(headers) else headers)

        return {**self._options, "headers": of_each}

    def sent(self, name: str, ids: Sequence[Sent]) -> None:
        """Take note of what a database has by now."""
        self._sent[name] = [each.of(name) for each in ids]

    def in_order(self) -> list[Sent]:
        """Every id, in the order of the payloads."""
        each = {name: iter(ids) for name, ids in self._sent.items()}
        return [next(each[name]) for name in self._places]

    @contextmanager
    def noting(self, name: str) -> Iterator[None]:
        """What fails says what was sent before: the transaction of another database is not undone."""
        try:
            yield
        except Exception as error:
            done = ", ".join(f"{len(ids)} to {other}" for other, ids in self._sent.items())
            error.add_note(f"send_many failed in database {name}; sent already: {done or 'nothing'}.")
            raise
