"""What runs on the cluster: finds a function by its name, calls it with a payload, and says in JSON how that
ended. Neither functions, payloads nor errors are ever pickled. Does not import Ray.
"""

from __future__ import annotations

import inspect
import sys
from functools import cache, lru_cache, partial
from importlib import import_module
from itertools import count
from operator import attrgetter
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any

import msgspec

from postmill.handlers.cluster.orders import LARGEST_JSON, Ending, Failure, Said, decode_order, encode
from postmill.handlers.cluster.remote_context import RemoteContext
from postmill.handlers.invokers import decoder
from postmill.handlers.returned import in_process
from postmill.handlers.signature import asks_for, read_signature, resolved
from postmill.model.error_text import kept_message, kept_traceback, name_of
from postmill.model.errors import InvalidHandler, InvalidPayload
from postmill.model.queue.outcome import Completed, Retry, Snooze
from postmill.model.queue.payload import result_to_json
from postmill.model.queue.retry import Dead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SAY_STARTED_AFTER_S = 0.05
"""When a task says that it has begun, in seconds. Its end says so too, so a short task saves the cost of
saying it: 50 ms, as no time limit and no wait for a start is counted more exactly.
"""

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def perform(order: bytes, tell: Callable[[bytes], object], path: Iterable[str] = ()) -> bytes:
    """Carry out an :class:`Order`; returns its :class:`Ending`. ``path``: where else modules are looked for.
    ``KeyboardInterrupt``, which is Ray's cancellation, passes through.
    """
    task = decode_order(order)
    places = count(1)

    def say(said: Said) -> None:
        said.place = next(places)
        tell(encode(said))

    started = Timer(SAY_STARTED_AFTER_S, tell, [encode(Said(task.call, "started"))])
    started.daemon = True
    started.start()
    context = RemoteContext(task, say)
    try:
        call = _found(task.function, tuple(path), task.by_name)
        ending = _returned(in_process(call(task.payload, context)))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        ending = Ending("raised", failure=_failure(error))
    finally:
        started.cancel()
    ending.said = next(places) - 1
    return encode(ending)


@lru_cache
def _found(name: str, path: tuple[str, ...], by_name: bool) -> Callable[[str, RemoteContext], Any]:
    """The function, as it is called with its payload's JSON and the context. A process of Ray's runs many
    tasks: each function is looked for once.
    """
    sys.path += [folder for folder in path if folder not in sys.path and Path(folder).exists()]
    module, _, attribute = name.partition(":")
    found = attrgetter(attribute)(import_module(module))
    function = getattr(found, "function", found)
    return _by_name(function) if by_name else _of_payload(function)


def _of_payload(function: Callable[..., Any]) -> Callable[[str, RemoteContext], Any]:
    """A handler's: it takes the payload, and the context if it asks for it."""
    signature = read_signature(function, batch=False)
    decode = decoder(signature.payload_type)

    def call(payload: str, context: RemoteContext) -> Any:
        return function(decode(payload), *([context] if signature.wants_context else []))

    return call


def _by_name(function: Callable[..., Any]) -> Callable[[str, RemoteContext], Any]:
    """A step's: the payload has a value for each parameter that is given one."""
    parameters = inspect.signature(function).parameters
    hints = {name: resolved(function, parameter.annotation) for name, parameter in parameters.items()}
    contexts = [name for name, hint in hints.items() if asks_for(hint, RemoteContext)]
    decoder_of = cache(lambda name: decoder(hints.get(name, Any)))

    def call(payload: str, context: RemoteContext) -> Any:
        values = {name: decoder_of(name)(bytes(raw).decode()) for name, raw in _fields(payload).items()}
        return function(**values, **dict.fromkeys(contexts, context))

    return call


def _returned(value: Any) -> Ending:
    if isinstance(value, BaseException):
        raise value
    is_outcome = isinstance(value, Completed)
    text = result_to_json(value.result if is_outcome else value)
    size = len(text.encode())
    if size > LARGEST_JSON:
        raise InvalidHandler(
            f"The result has {size:,} bytes of JSON, and a task may return {LARGEST_JSON:,}.",
            hint="Write it where the reader can fetch it, and return its address.",
        )
    return Ending("returned", text, "completed" if is_outcome else "")


def _failure(error: BaseException) -> Failure:
    """What it raised, in words. An outcome keeps its meaning, in so far as its delay can be read."""
    made = partial(Failure, name_of(error), kept_message(error), kept_traceback(error))
    match error:
        case Retry():
            return made("retry", getattr(error, "after_s", None))
        case Snooze():
            return made("snooze", getattr(error, "after_s", None))
        case Dead():
            return made("dead")
        case InvalidPayload():
            return made("invalid")
    return made()
