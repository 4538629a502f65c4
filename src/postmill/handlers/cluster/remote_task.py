"""What runs on the cluster: finds a function by its name, calls it with a payload, and says in JSON how that
ended. Neither functions, payloads nor errors are ever pickled. Does not import Ray.
"""

from __future__ import annotations

import sys
from functools import lru_cache, partial
from importlib import import_module
from itertools import count
from operator import attrgetter
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any

from postmill.handlers.cluster.orders import LARGEST_JSON, Ending, Failure, Said, decode_order, encode
from postmill.handlers.cluster.remote_context import RemoteContext
from postmill.handlers.invokers import decoder
from postmill.handlers.returned import in_process
from postmill.handlers.signature import read_signature
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
        function, decode, wants_context = _found(task.function, tuple(path))
        payload = decode(task.payload)
        ending = _returned(in_process(function(payload, *([context] if wants_context else []))))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        ending = Ending("raised", failure=_failure(error))
    finally:
        started.cancel()
    ending.said = next(places) - 1
    return encode(ending)


@lru_cache
def _found(name: str, path: tuple[str, ...]) -> tuple[Callable[..., Any], Callable[[str], Any], bool]:
    """The function, what decodes its payload, and whether it wants the context. A process of Ray's runs many
    tasks: each function is looked for once.
    """
    sys.path += [folder for folder in path if folder not in sys.path and Path(folder).exists()]
    module, _, attribute = name.partition(":")
    found = attrgetter(attribute)(import_module(module))
    function = getattr(found, "function", found)
    signature = read_signature(function, batch=False)
    return function, decoder(signature.payload_type), signature.wants_context


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
