"""The decorators of a flow that were given options, as type checkers see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from postmill.flows.steps import FunctionStep, MapStep

P = ParamSpec("P")
T = TypeVar("T")
U_contra = TypeVar("U_contra", contravariant=True)


class StepDecorator(Protocol):
    """``@flow.step(...)``."""

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> FunctionStep[P, Coroutine[Any, Any, T], T]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> FunctionStep[P, T, T]: ...


class UndoableDecorator(Generic[U_contra]):
    """``@flow.step(compensate=...)``: of a function that returns what the compensation takes."""

    def __init__(self, define: Callable[[Callable[..., Any]], Any]) -> None:
        self._define = define

    @overload
    def __call__(
        self: UndoableDecorator[T], function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> FunctionStep[P, Coroutine[Any, Any, T], T]: ...
    @overload
    def __call__(self: UndoableDecorator[T], function: Callable[P, T], /) -> FunctionStep[P, T, T]: ...
    def __call__(self, function: Callable[..., Any], /) -> Any:
        """Make it a step."""
        return self._define(function)


class MapDecorator(Protocol):
    """``@flow.map(...)``."""

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> MapStep[P, Coroutine[Any, Any, T], T]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> MapStep[P, T, T]: ...
