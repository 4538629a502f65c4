"""What a handler's parameters ask for."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from postmill import Context  # noqa: TC001 - the annotations are read
from postmill.handlers.signature import read_signature
from postmill.model.errors import InvalidHandler


@dataclass
class Page:
    url: str


def plain(page: Page) -> None: ...
def with_context(page: Page, ctx: Context) -> None: ...
def unannotated(page, ctx): ...  # type: ignore[no-untyped-def]
def by_its_full_name(page, context): ...  # type: ignore[no-untyped-def]
def unused(page, _ctx): ...  # type: ignore[no-untyped-def]
def maybe_context(page: Page, ctx: Context | None) -> None: ...
def of_another_name(page: Page, job: Context) -> None: ...
def own_default(page, ctx=None): ...  # type: ignore[no-untyped-def]
def with_default(page: Page, depth: int = 3) -> None: ...
def context_with_default(page: Page, ctx: Context | None = None) -> None: ...
def keyword(page: Page, *, depth: int = 3) -> None: ...
def positional_only(page: Page, ctx: Context, /) -> None: ...
def variadic(*pages: Page) -> None: ...


class Handler:
    def __call__(self, page: Page, ctx: Context) -> None: ...

    def method(self, page: Page) -> None: ...

    @classmethod
    def of_class(cls, page: Page, ctx: Context) -> None: ...

    @staticmethod
    def static(page: Page) -> None: ...


@pytest.mark.parametrize(
    ("function", "payload_type", "wants_context"),
    [
        (plain, Page, False),
        (with_context, Page, True),
        (unannotated, Any, True),
        (by_its_full_name, Any, True),
        (unused, Any, True),
        (maybe_context, Page, True),
        (of_another_name, Page, True),
        (context_with_default, Page, True),
        (own_default, Any, False),
        (with_default, Page, False),
        (keyword, Page, False),
        (positional_only, Page, True),
        (variadic, Any, False),
        (Handler(), Page, True),
        (Handler().method, Page, False),
        (Handler.of_class, Page, True),
        (Handler.static, Page, False),
        (functools.partial(with_default, depth=4), Page, False),
        (print, Any, False),
        (len, Any, False),
        (lambda payload: payload, Any, False),
    ],
)
def test_payload_and_context(function: Any, payload_type: object, wants_context: bool) -> None:
    signature = read_signature(function, batch=False)
    assert (signature.payload_type, signature.wants_context) == (payload_type, wants_context)


@pytest.mark.parametrize("annotation", [list[Page], Sequence[Page], tuple[Page, ...]])
def test_a_batch_handlers_payload_is_the_item_of_its_list(annotation: Any) -> None:
    def handle(pages, ctx):  # type: ignore[no-untyped-def]
        pass

    handle.__annotations__["pages"] = annotation
    assert read_signature(handle, batch=True).payload_type is Page


def test_a_batch_handler_without_an_item_type_takes_anything() -> None:
    def handle(pages: list) -> None: ...  # type: ignore[type-arg]

    assert read_signature(handle, batch=True).payload_type is Any


def injecting(function: Any) -> Any:
    """A decorator that gives the handler what it needs beside the payload."""

    @functools.wraps(function)
    def fill_in(page: Page) -> Any:
        return function(page, depth=3)

    return fill_in


def passing_on(function: Any) -> Any:
    """A decorator that hands everything on."""

    @functools.wraps(function)
    def hand_on(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return hand_on


def test_a_decorator_that_fills_in_a_parameter_is_believed() -> None:
    assert not read_signature(injecting(needs_keyword), batch=False).wants_context
    assert read_signature(injecting(two_parts), batch=False).payload_type is Page


def test_through_a_decorator_that_hands_on_the_function_itself_is_seen() -> None:
    signature = read_signature(passing_on(with_context), batch=False)
    assert (signature.payload_type, signature.wants_context) == (Page, True)


def two_parts(page: Page, depth: int) -> None: ...
def two_names(order_id, email): ...  # type: ignore[no-untyped-def]
def context_by_keyword(page: Page, *, ctx: Context) -> None: ...
def context_by_keyword_with_default(page: Page, *, ctx: Context | None = None) -> None: ...
def context_in_third_place(page: Page, depth: int = 3, ctx: Context | None = None) -> None: ...
def of_contexts(page: Page, more: list[Context]) -> None: ...


def generator(page: Page) -> Any:
    yield page


async def async_generator(page: Page) -> Any:
    yield page


class GeneratorHandler:
    def __call__(self, page: Page) -> Any:
        yield page


class Draining:
    """A decorator written as a class, under the name that many of them give to what they wrap."""

    def __init__(self, func: Any) -> None:
        self.func = func

    def __call__(self, page: Page) -> list[Any]:
        return list(self.func(page))


def test_what_a_callable_object_wraps_is_its_own_affair() -> None:
    """Only functools.partial calls its ``func`` as it is; other objects with such a name were refused."""
    assert read_signature(Draining(generator), batch=False).payload_type is Page


def needs_three(page: Page, ctx: Context, more: int) -> None: ...
def needs_keyword(page: Page, *, depth: int) -> None: ...
def nothing() -> None: ...
def only_keyword(*, page: Page) -> None: ...
def unknown_type(page: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (needs_three, "more"),
        (two_parts, "depth"),
        (two_names, "email"),
        (context_by_keyword, "ctx"),
        (context_by_keyword_with_default, "not its second parameter"),
        (context_in_third_place, "not its second parameter"),
        (Handler, "Make the object once"),
        (functools.partial(Handler), "Make the object once"),
        (of_contexts, "more"),
        (generator, "yield"),
        (async_generator, "yield"),
        (functools.partial(generator), "yield"),
        (GeneratorHandler(), "yield"),
        (GeneratorHandler().__call__, "yield"),
        (needs_keyword, "depth"),
        (nothing, "no parameter"),
        (only_keyword, "no parameter"),
        (unknown_type, "Missing"),
        (3, "can't be called"),
        (None, "can't be called"),
    ],
)
def test_what_can_not_take_a_payload_is_refused(function: Any, says: str) -> None:
    with pytest.raises(InvalidHandler, match=says):
        read_signature(function, batch=False)
