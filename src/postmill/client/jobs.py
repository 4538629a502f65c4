"""What a message asks for beside its delivery, as the statement ``send_jobs`` binds it. Without I/O."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from postmill.client import options as rules
from postmill.client.addressing import addressed, checked, headers_text
from postmill.model.errors import InvalidOption
from postmill.model.queue.payload import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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


def entry(options: Mapping[str, Any]) -> dict[str, Any]:
    """What one message says of itself."""
    return _without_nulls({**own(options), "after": rules.sources(options.get("after"))})


class Asked:
    """What each of many messages asks for: every option is one value, which is checked once, or a function of
    the payload.

    Raises ``InvalidOption`` and ``InvalidPayload``, now or when a message is asked about.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._of_payload = {name: value for name, value in options.items() if callable(value)}
        self._same = {name: value for name, value in options.items() if name not in self._of_payload}
        self._terms_of_payload = {name: of for name, of in self._of_payload.items() if name in _TERMS}
        self._terms = None if self._terms_of_payload else terms(options)
        self._own = _without_nulls(own(self._same))
        self._after = rules.sources(self._same.get("after"), in_batch=True)

    def terms(self, payload: object) -> Terms:
        """What holds for its statement."""
        if self._terms is not None:
            return self._terms
        return terms({**self._same, **{name: of(payload) for name, of in self._terms_of_payload.items()}})

    def entry(self, payload: object, *, in_batch: bool) -> dict[str, Any]:
        """What the message says of itself."""
        found = dict(self._own)
        for name, of in self._of_payload.items():
            if name in _OWN:
                found[name] = _OWN[name](of(payload))
        after = self._of_payload["after"](payload) if "after" in self._of_payload else self._after
        found["after"] = rules.sources(after, in_batch=in_batch)
        return _without_nulls(found)


def size(entry: Mapping[str, Any]) -> int:
    """How many bytes of the statement it takes, about."""
    return len(msgspec.json.encode(entry))


def columns(entries: Sequence[Mapping[str, Any]]) -> str:
    """What the messages of one statement say of themselves: a JSON object with a list for each option."""
    names = sorted(set().union(*entries))
    return msgspec.json.encode({name: [entry.get(name) for entry in entries] for name in names}).decode()


def own(options: Mapping[str, Any]) -> dict[str, Any]:
    """What a message says of itself, wherever and whenever it is sent; None where it says nothing."""
    return {name: rule(options.get(name)) for name, rule in _OWN.items()}


def check_key(options: Mapping[str, Any]) -> None:
    """Refuse what is said about a unique key when there is none."""
    if options.get("unique_key") is None:
        for name, default in (("unique_for", None), ("on_conflict", "skip")):
            if options.get(name, default) != default:
                raise InvalidOption(
                    f"{name}={options[name]!r} says something about a unique key, and there is none.",
                    hint="Give unique_key too, or leave it out.",
                )


def _headers(headers: object) -> msgspec.Raw | None:
    return None if headers is None else msgspec.Raw(headers_text(headers).encode())


_OWN: dict[str, Callable[[Any], Any]] = {
    "headers": _headers,
    "unique_key": partial(rules.key, "unique_key"),
    "priority": rules.priority,
    "group_key": partial(rules.key, "group_key"),
}
_TERMS = ("delay", "run_at", "unique_for", "on_conflict", "on_source_dead", "then_send", "else_send")
"""The options that :class:`Terms` is made of."""


def _without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


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
    return to_json({"queue": queue, "message": message, **_without_nulls(found)}).decode()
