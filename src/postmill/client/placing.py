"""From a message to the database in which it lives: the meaning of a key, without I/O, for both clients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from postmill.client.addressing import merged, queue_of
from postmill.client.options import Then
from postmill.client.options import key as checked_key
from postmill.client.sending import Statement
from postmill.model.errors import InvalidOption, Refused
from postmill.model.queue.sent import Sent
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.model.databases.databases import Databases
    from postmill.model.queue.addressee import Addressee

ShardKey: TypeAlias = str | int | UUID | None
"""What decides in which database a message lives, such as a tenant."""

KEY_HEADER = "postmill-shard-key"
"""The header in which a message keeps its key, so that it can be told where it belongs."""

NAME = Statement(statement("client_database_name"), (), "")
"""Asks a database for its name."""


def home(databases: Databases, to: str | Addressee, payload: object, key: ShardKey) -> tuple[str, str | None]:
    """The database of a message, and its key as text. Raises :class:`InvalidOption`."""
    queue = queue_of(to)
    text = _text(_field(databases, queue, payload) if key is None else key)
    return databases.home(queue, text), text


def kept(key: str | None, headers: Any) -> Any:
    """``headers`` with the key in them. They may be a function of the payload: then the result is one."""
    return headers if key is None else merged({KEY_HEADER: key}, headers)


def check_neighbours(databases: Databases, name: str, key: str | None, options: Mapping[str, Any]) -> None:
    """Refuse what ties a message of the database ``name`` to another database: nothing commits in two."""
    for source in _sources(options.get("after")):
        if isinstance(source, Sent) and source.database not in {None, name}:
            raise InvalidOption(
                f"after={source.ref!r} is in database {source.database}, and this message lives in {name}.",
                why="A message waits for messages of its own database only.",
                hint="Give both the same shard_key, or send this one from the other's handler.",
            )
    for option in ("then_send", "else_send"):
        then = options.get(option)
        if isinstance(then, Then):
            follower = queue_of(then.queue)
            its_key = key if follower in databases.routes else None
            if databases.home(follower, its_key) != name:
                raise InvalidOption(
                    f"{option} names queue {follower}, and that lives in another database than {name}.",
                    why="It is sent in the transaction that ends this message.",
                    hint=f"Send to {follower} from the handler, with a client for all databases.",
                )


def database_of(sent: Sent, databases: Databases) -> str:
    """The database in which a message is that was sent. Raises :class:`InvalidOption`."""
    if isinstance(sent, Sent):
        return sent.database or databases.home(sent.queue, None)
    raise InvalidOption(
        f"{sent!r} does not say in which database its message is.",
        hint="Give what send returned; or use client.at(database), which knows the ids of one database.",
    )


def check_here(name: str, here: str | None, queue: str, key: str | None) -> None:
    """Refuse a message whose home is ``name`` on a connection of the caller's to the database ``here``."""
    if here == name:
        return
    if here is None:
        raise Refused(
            "The database of this connection has no name, so that it can't be told what lives in it.",
            why=f"A message of queue {queue} with this key lives in {name}.",
            hint="postmill migrate gives the databases of a project their names.",
        )
    what = f"A message of queue {queue} with the key {key!r}" if key is not None else f"Queue {queue}"
    raise Refused(
        f"{what} lives in database {name}, and this connection leads to {here}.",
        why="One transaction can't write to two databases, so that it would not be sent with what you wrote.",
        hint=f"Open the transaction in {name}; or send after it, with a client without your connection.",
    )


def check_name(name: str, found: str | None) -> None:
    """Refuse an address that leads to another database than its name says."""
    if found not in {None, name}:
        raise Refused(
            f"The address of database {name} leads to the database {found}.",
            why="Each database knows its own name; messages would be sent where nobody looks for them.",
            hint="Correct the address; postmill doctor shows which name stands where.",
        )


def _field(databases: Databases, queue: str, payload: object) -> Any:
    """The key in the payload, when the queue's route names its field."""
    route = databases.routes.get(queue)
    if route is None or route.shard_by is None:
        return None
    if isinstance(payload, Mapping):
        return payload.get(route.shard_by)
    return getattr(payload, route.shard_by, None)


def _text(key: object) -> str | None:
    if isinstance(key, int | UUID) and not isinstance(key, bool):
        key = str(key)
    return checked_key("shard_key", key)


def _sources(after: Any) -> Iterable[Any]:
    if after is None or isinstance(after, Callable):  # type: ignore[arg-type]
        return ()
    return (after,) if isinstance(after, str | int | tuple) else after
