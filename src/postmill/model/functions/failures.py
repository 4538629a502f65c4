"""How a request to a function can fail without the function's own answer: each with its HTTP status and code.

What the caller sees is ``status``, ``code`` and ``what``; ``why`` may hold a traceback and goes to the log
only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from postmill.model.errors import PostmillError

if TYPE_CHECKING:
    from postmill.model.functions.limits import EndReason


class FunctionFailure(PostmillError):
    """The root. Raised before the response has started, so that the gateway can still answer."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "WORKER_ERROR"
    reached: ClassVar[bool] = True
    """Whether the request may have reached user code; otherwise it is safe to repeat."""

    def __init__(self, what: str, *, reason: EndReason | None = None, why: str = "", hint: str = "") -> None:
        super().__init__(what, why=why, hint=hint)
        self.reason = reason
        """Why the isolate ended, if it did."""


class FunctionNotFound(FunctionFailure):
    """No function of that name, or it is disabled."""

    status = 404
    code = "NOT_FOUND"
    reached = False


class BootFailed(FunctionFailure):
    """The module can't be imported, takes too long, or has no entry point."""

    status = 503
    code = "BOOT_ERROR"
    reached = False


class NoCapacity(FunctionFailure):
    """Every instance was busy for as long as a request waits."""

    status = 503
    code = "CAPACITY"
    reached = False


class FunctionDied(FunctionFailure):
    """The process ended by a signal, an exit or an uncaught error while it had the request."""

    status = 500
    code = "WORKER_ERROR"


class LimitReached(FunctionFailure):
    """The process was killed at a limit while it had the request; ``reason`` names the limit."""

    status = 546
    code = "WORKER_LIMIT"


class ResponseTimeout(FunctionFailure):
    """The response did not start in time."""

    status = 504
    code = "IDLE_TIMEOUT"


class HandlerRaised(FunctionFailure):
    """The function raised, or returned what is no response. The traceback is in the log."""

    status = 500
    code = "EDGE_FUNCTION_ERROR"


class ResponseCut(Exception):
    """The function failed after its response had started: the connection must end without a proper end."""

    def __init__(self, failure: FunctionFailure) -> None:
        super().__init__(failure.what)
        self.failure = failure
