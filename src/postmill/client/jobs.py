"""What a message asks for beside its delivery, as the statement ``send_jobs`` binds it. Without I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from postmill.client import options as rules
from postmill.client.addressing import addressed, checked, headers_text
from postmill.model.errors import InvalidOption
from postmill.model.queue.payload import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postmill.client.options import Then


class Terms(NamedTuple):
    """What is the same for each message of one statement."""

    run_at: str | None
    delay_s: float | None
    unique_for_s: float | None
    on_conflict: str
    on_source_dead: str
    then_send: str | None
    else_send: str | None


def terms(options: Mapping[str, Any]) -> Terms:
    """What the options say about the whole statement. Raises ``InvalidOption`` and ``InvalidPayload``."""
    return Terms(
        *rules.due(options.get("delay"), options.get("run_at")),
        rules.time_s("unique_for", options.get("unique_for")),
        rules.choice("on_conflict", options.get("on_conflict", "skip"), rules.OnConflict),
        rules.choice("on_source_dead", options.get("on_source_dead", "cancel"), rules.OnSourceDead),
        _follower("then_send", options.get("then_send")),
        _follower("else_send", options.get("else_send")),
    )


def entry(options: Mapping[str, Any], *, in_batch: bool) -> str:
    """What one message asks for, as one line of JSON."""
    found = {**own(options), "after": rules.sources(options.get("after"), in_batch=in_batch)}
    return to_json({name: value for name, value in found.items() if value is not None}).decode()


def own(options: Mapping[str, Any]) -> dict[str, Any]:
    """What a message says of itself, wherever and whenever it is sent; None where it says nothing."""
    return {
        "headers": _headers(options.get("headers")),
        "unique_key": rules.key("unique_key", options.get("unique_key")),
        "priority": rules.priority(options.get("priority")),
        "group_key": rules.key("group_key", options.get("group_key")),
    }


def check_key(options: Mapping[str, Any]) -> None:
    """Refuse what is said about a unique key when there is none."""
    if options.get("unique_key") is None:
        for name, default in (("unique_for", None), ("on_conflict", "skip")):
            if options.get(name, default) != default:
                raise InvalidOption(
                    f"{name}={options[name]!r} says something about a unique key, and there is none.",
                    hint="Give unique_key too, or leave it out.",
                )


def resolved(options: Mapping[str, Any], payload: object) -> dict[str, Any]:
    """The options of one message of many: a function is asked with its payload."""
    return {name: value(payload) if callable(value) else value for name, value in options.items()}


def _headers(headers: object) -> msgspec.Raw | None:
    return None if headers is None else msgspec.Raw(headers_text(headers).encode())


def _follower(name: str, then: Then | None) -> str | None:
    """A message for later, as ``postmill.send`` takes it."""
    if then is None:
        return None
    if not isinstance(then, rules.Then):
        raise InvalidOption(
            f"{name}={then!r} is no message to send.", hint="Give Then(queue_or_worker, payload)."
        )
    queue, headers = addressed(then.queue, then.options.get("headers"))
    found = {
        "delay_s": rules.time_s("delay", then.options.get("delay"), least="0"),
        **own({**then.options, "headers": headers}),
    }
    message = msgspec.Raw(to_json(checked(then.queue, then.payload)))
    asked = {key: value for key, value in found.items() if value is not None}
    return to_json({"queue": queue, "message": message, **asked}).decode()
