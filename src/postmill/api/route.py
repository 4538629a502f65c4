"""Which functions answer which requests, and in which shapes. The document and the endpoints are made from
what is declared here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Generic, Protocol, TypeAlias, TypeVar

from msgspec import Meta, Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

QueueName: TypeAlias = Annotated[
    str, Meta(pattern="^(?!.*--)[a-z0-9_][a-z0-9_-]{0,46}$", max_length=47, examples=["mail"])
]
"""A queue that is made here."""
Named: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200, examples=["mail"])]
"""What is there already: other clients may give it any name. In a path it is percent-encoded."""

Answer: TypeAlias = Callable[..., Awaitable[Any]]
F = TypeVar("F", bound=Answer)


class Nothing(Struct, forbid_unknown_fields=True):
    """A query or a path without a name in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One method of one path."""

    method: str
    path: str
    """With names in braces, as ``/queues/{queue}``."""
    answer: Answer
    """``answer(desk, path, query, body)``; those that are not declared are left out."""
    out: Any
    status: int = HTTPStatus.OK
    in_path: type[Struct] = Nothing
    query: type[Struct] = Nothing
    body: Any = None

    @property
    def name(self) -> str:
        """What the document calls it."""
        return self.answer.__name__

    @property
    def segments(self) -> tuple[str, ...]:
        """The parts of its path."""
        return tuple(self.path.removeprefix("/").split("/"))


RESOURCES: list[Resource] = []
"""All that are declared, in the order of their files. Filled when :mod:`postmill.api.resources` is
imported.
"""


def resource(
    method: str,
    path: str,
    *,
    out: Any,
    status: int = HTTPStatus.OK,
    in_path: type[Struct] = Nothing,
    query: type[Struct] = Nothing,
    body: Any = None,
) -> Callable[[F], F]:
    """Declare that the function answers ``method path``. It is given the desk and, of ``path``, ``query`` and
    ``body``, those that are declared, by these names.
    """

    def declare(answer: F) -> F:
        RESOURCES.append(
            Resource(
                method=method,
                path=path,
                answer=answer,
                out=out,
                status=status,
                in_path=in_path,
                query=query,
                body=body,
            )
        )
        return answer

    return declare


class Routed(Protocol):
    """What answers one method of one path."""

    @property
    def method(self) -> str:
        """As ``GET``."""

    @property
    def segments(self) -> tuple[str, ...]:
        """The parts of its path, names in braces."""


R = TypeVar("R", bound=Routed)


class Routes(Generic[R]):
    """Finds what answers a path by its segments, each decoded by itself: a name may have a ``/`` in it,
    which is ``%2F`` in the path.
    """

    def __init__(self, resources: Iterable[R]) -> None:
        self._offered: dict[tuple[str, ...], dict[str, R]] = {}
        for each in resources:
            self._offered.setdefault(each.segments, {})[each.method] = each
        # Words go before names in braces.
        self._paths = sorted(self._offered, key=lambda path: [_is_name(part) for part in path])

    def find(self, segments: Sequence[str]) -> tuple[Mapping[str, R], dict[str, str]] | None:
        """What is offered at the path, by method, and the names that its template has."""
        for path in self._paths:
            names = _match(path, segments)
            if names is not None:
                return self._offered[path], names
        return None


def _match(path: tuple[str, ...], segments: Sequence[str]) -> dict[str, str] | None:
    if len(path) != len(segments):
        return None
    names = {}
    for part, given in zip(path, segments, strict=True):
        if _is_name(part):
            names[part[1:-1]] = given
        elif part != given:
            return None
    return names


def _is_name(part: str) -> bool:
    return part.startswith("{")
