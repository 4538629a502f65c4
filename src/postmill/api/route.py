"""Which functions answer which requests, and in which shapes. The document and the endpoints are made from
what is declared here.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, TypeAlias, TypeVar

from msgspec import Meta, Struct

QueueName: TypeAlias = Annotated[
    str, Meta(pattern=r"^[a-z0-9_][a-z0-9_-]{0,46}$", max_length=47, examples=["mail"])
]
BigId: TypeAlias = Annotated[
    str, Meta(pattern=r"^[0-9]{1,19}$", description="A whole number of 64 bits, as text.", examples=["42"])
]
"""JavaScript's numbers lose digits above 2^53."""

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
    def names(self) -> list[str]:
        """Those in the path."""
        return re.findall(r"{(\w+)}", self.path)


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
