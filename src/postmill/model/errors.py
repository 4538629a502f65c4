"""Every error Postmill raises on purpose: what happened, why, what to try.

One root, few leaves. ``code`` is stable and documented in ``docs/reference/errors.md``; a test fails when one
is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping


class PostmillError(Exception):
    """The root. ``str(error)`` is the three sentences; the parts are attributes."""

    code: ClassVar[str] = "error"

    def __init__(self, what: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.why, self.hint) if part)


class InvalidOption(PostmillError):
    """An option, setting or argument has a value that the rules do not allow, or an unknown name."""

    code = "invalid-option"


class InvalidQueueName(InvalidOption):
    """The queue name does not follow ``^[a-z0-9_][a-z0-9_-]{0,46}$``."""

    code = "invalid-queue-name"


class InvalidSearch(InvalidOption):
    """A search has a term that means nothing, at the character ``at``, counted from 0."""

    code = "invalid-search"

    def __init__(self, what: str, *, why: str = "", hint: str = "", at: int = 0) -> None:
        super().__init__(what, why=why, hint=hint)
        self.at = at


class InvalidAddress(InvalidOption):
    """The database address can't be read as one."""

    code = "invalid-address"


class InvalidHandler(InvalidOption):
    """The function given as a handler can't be called with a message."""

    code = "invalid-handler"


class InvalidFlow(InvalidOption):
    """A flow, one of its steps or a workflow is defined in a way that no run could follow."""

    code = "invalid-flow"


class InvalidFunction(InvalidOption):
    """A function's name, file or table of settings does not follow the rules."""

    code = "invalid-function"


class InvalidPayload(PostmillError):
    """A message's payload is not JSON, does not fit the handler's annotation, or can't be stored."""

    code = "invalid-payload"


class PayloadTooLarge(InvalidPayload):
    """A message is larger than the limit for one message."""

    code = "payload-too-large"


class NotFound(PostmillError):
    """The named thing does not exist."""

    code = "not-found"


class QueueNotFound(NotFound):
    """No queue of that name."""

    code = "queue-not-found"


class Refused(PostmillError):
    """Not done, because it would destroy or conflict with something; says how to insist where that is
    allowed.
    """

    code = "refused"


class AlreadyStarted(Refused):
    """A worker was started twice in one process, or ``dev`` or ``serve`` twice in one project."""

    code = "already-started"


class WorkerFailed(PostmillError):
    """A part of a worker fails again and again, so the process ends: a new process may work."""

    code = "worker-failed"


class HostFailed(PostmillError):
    """A part of the function host fails again and again, so the process ends: a new process may work."""

    code = "host-failed"


class DuplicateMessage(Refused):
    """Another message holds the unique key, and ``on_conflict`` is ``raise``."""

    code = "duplicate-message"


class LeaseLost(PostmillError):
    """Another client holds the message by now, so nothing was changed. This is a normal result of a fence,
    not a bug.
    """

    code = "lease-lost"


class SettlementRefused(PostmillError):
    """The database refuses to write down how this message ended; it counts as a failed attempt."""

    code = "settlement-refused"


class DatabaseUnavailable(PostmillError):
    """The database can't be reached, is starting, or refuses more connections."""

    code = "database-unavailable"


class LoginFailed(DatabaseUnavailable):
    """The database answered and refused the user, the password or the database name."""

    code = "login-failed"


class SchemaMissing(PostmillError):
    """The database has no Postmill schema, or one that is older than this code."""

    code = "schema-missing"


class SchemaTooNew(PostmillError):
    """The database's schema was made by a newer Postmill; running old code on it is refused."""

    code = "schema-too-new"


class MigrationFailed(PostmillError):
    """A step of ``postmill migrate`` could not be done; it left nothing behind, and earlier steps stay."""

    code = "migration-failed"


class EmbeddedError(PostmillError):
    """The embedded Postgres can't be started, attached to or stopped."""

    code = "embedded"


class TimedOut(PostmillError):
    """What was waited for did not happen in time."""

    code = "timed-out"


class ResultTimedOut(TimedOut, TimeoutError):
    """The message had not ended when the time to wait for its result was over. ``state`` is the message's
    state, None when it could not be asked for; ``waits_for`` says what the message waits for, if anything.
    """

    code = "result-timed-out"

    def __init__(
        self, what: str, *, why: str = "", hint: str = "", state: str | None = None, waits_for: object = None
    ) -> None:
        super().__init__(what, why=why, hint=hint)
        self.state = state
        self.waits_for = waits_for


class ResultNotKept(NotFound):
    """The message has completed, and what its handler returned was not kept."""

    code = "result-not-kept"


class MessageDead(PostmillError):
    """The message whose result was waited for is dead. ``letter`` is its dead letter: ``reason``, ``kind``,
    ``error_type``, ``traceback``, ``attempts``, ``letter_id``, ``replayed_as`` and others.
    """

    code = "message-dead"

    def __init__(
        self, what: str, *, why: str = "", hint: str = "", letter: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(what, why=why, hint=hint)
        self.letter: Mapping[str, Any] = letter or {}

    @property
    def reason(self) -> str:
        """Why the message is dead, in the words of the letter."""
        return str(self.letter.get("reason") or "")

    @property
    def error_type(self) -> str | None:
        """The name of the class of the error that ended its last attempt; None when there was none."""
        return self.letter.get("error_type")


class KeyConflict(Refused):
    """Another run of the flow has this key, and was started with other input."""

    code = "key-conflict"


class RunFailed(PostmillError):
    """The run that was waited for has failed. ``culprit``: the step for whose sake; ``reason``: why."""

    code = "run-failed"

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        run_id: int = 0,
        culprit: str | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(what, why=why, hint=hint)
        self.run_id = run_id
        self.culprit = culprit
        self.reason = reason


class StepFailed(PostmillError):
    """A step of a workflow has failed for good. ``step``: its name; ``reason``: why. The function may catch
    it; when it runs again, the step raises the same.
    """

    code = "step-failed"

    def __init__(self, what: str, *, why: str = "", hint: str = "", step: str = "", reason: str = "") -> None:
        super().__init__(what, why=why, hint=hint)
        self.step = step
        self.reason = reason


class ReplayMismatch(PostmillError):
    """A workflow's function that runs again calls a step with other arguments than before, or with another
    annotation, which what is recorded does not fit.
    """

    code = "replay-mismatch"


class RunCancelled(PostmillError):
    """The run that was waited for was cancelled."""

    code = "run-cancelled"


class MessageCancelled(PostmillError):
    """The message whose result was waited for was cancelled."""

    code = "message-cancelled"
