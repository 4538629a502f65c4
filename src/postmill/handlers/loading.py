"""Finds a worker or a flow by name: ``module:name``, or the path of a file and a name; or all that a module
or file defines. Imports the user's module, nothing else.
"""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postmill.handlers.decorator import Worker
from postmill.handlers.edge_worker import EdgeWorker
from postmill.model.errors import InvalidHandler, PostmillError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from postmill.engine.handler import Handler

_NOT_USERS = (str(Path(__file__).parents[1]), "<frozen ")
"""Files that an error's place is not looked for in: this package's, and the modules that are built into
Python, such as its import machinery and ``os``, whose lines a user can't open.
"""


def load(target: str) -> Handler:
    """The worker named by ``module:name`` or ``path/to/file.py:name``, or the handler of the flow of that
    name.

    Raises :class:`InvalidHandler` when the module can't be imported, or has nothing that can be run of that
    name.
    """
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise InvalidHandler(
            f"{target!r} does not name a worker or a flow.",
            why="A name has the form module:name or file.py:name.",
            hint=f"For example: {place or name or 'worker.py'}:greet, where greet is what the file defines.",
        )
    found = getattr(_module(place), name, None)
    if isinstance(found, Worker) or _is_flow(found):
        return _handler_of(found)
    known = sorted(
        key for key, value in vars(_module(place)).items() if isinstance(value, Worker) or _is_flow(value)
    )
    raise InvalidHandler(
        f"{place} has no worker and no flow named {name!r}.",
        why="There is no such name." if found is None else f"It is a {type(found).__name__}.",
        hint=f"There are: {', '.join(known)}." if known else "Decorate a function with @worker.",
    )


def load_all(target: str) -> list[Handler]:
    """What :func:`load` finds; without a ``:name`` all that the module or file defines. What it has
    imported from elsewhere, to send to it or to start it, is not its own.

    Raises :class:`InvalidHandler`.
    """
    if ":" in target:
        return [load(target)]
    registered: list[Worker] = []
    module = _module(target, registered)
    values = vars(module).values()
    own = [each for each in values if (isinstance(each, Worker) or _is_flow(each)) and _is_of(each, module)]
    found = without_parts((*own, *registered))
    if not found:
        raise InvalidHandler(
            f"{target} defines no worker and no flow.",
            why="Those that it imports are of the modules that define them.",
            hint="Decorate a function with @worker or @workflow, or name one: module:name",
        )
    return [_handler_of(each) for each in found]


def without_parts(found: Iterable[Any]) -> list[Any]:
    """Each once, and no worker whose tasks another one of them runs."""
    once = dict.fromkeys(found)
    workers = [each for each in once if isinstance(each, Worker)]
    return [
        each
        for each in once
        if not (isinstance(each, Worker) and any(each.is_part_of(other) for other in workers))
    ]


def _handler_of(found: Any) -> Handler:
    handler: Handler = found if isinstance(found, Worker) else found.handler()
    return handler


def _is_of(value: Any, module: ModuleType) -> bool:
    return bool(value.module == module.__name__)


def _is_flow(value: object) -> bool:
    """Whether it is something else than a worker that makes a handler: flows stand above this module. Its
    class is asked: a marker in the module has any attribute that it is asked for.
    """
    return callable(getattr(type(value), "handler", None))


def _module(place: str, registered: list[Worker] | None = None) -> ModuleType:
    """The module; what ``EdgeWorker.start`` is called with in it is added to ``registered``."""
    if place.endswith(".py") and not Path(place).is_file():
        raise InvalidHandler(f"There is no file {place}.", hint="Give the path of a Python file.")
    try:
        with EdgeWorker.registering() as found:  # a file that also runs as a script starts nothing here
            module = _from_file(Path(place)) if place.endswith(".py") else import_module(place)
            (registered if registered is not None else []).extend(found)
            return module
    except ModuleNotFoundError as error:
        raise _not_found(place, error) from error
    except PostmillError as error:  # a worker in it was declared wrongly
        error.why = f"{error.why} It is in {_origin(error)}.".strip()
        raise
    except (Exception, SystemExit) as error:  # a script's sys.exit() would end the worker silently
        raise InvalidHandler(
            f"Importing {place!r} failed: {type(error).__name__}: {error}.",
            why=f"It was raised in {_origin(error)}.",
            hint=f"Run it with python alone first: python {_as_run(place)}",
        ) from error


def _as_run(place: str) -> str:
    """The arguments with which Python itself runs the module or the file."""
    return place if place.endswith(".py") else f"-c 'import {place}'"


def _origin(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    users = [frame for frame in frames if not frame.filename.startswith(_NOT_USERS)]
    where = (users or frames)[-1]
    return f"{where.filename}, line {where.lineno}"


def _not_found(place: str, error: ModuleNotFoundError) -> InvalidHandler:
    """The error for a module that is not there: the one that was asked for, or one that it imports."""
    missing = error.name or ""
    if place == missing or place.startswith(f"{missing}."):
        return InvalidHandler(
            f"The module {place!r} can't be imported.",
            why=f"{error}.",
            hint="Check its name, and that you are in the folder it is imported from.",
        )
    return InvalidHandler(
        f"The module {place!r} can't be imported: there is no module {missing!r}.",
        why=f"{_origin(error)}, imports it.",
        hint=f"Correct the name there, or install it: pip install {missing.partition('.')[0]}",
    )


def _from_file(path: Path) -> ModuleType:
    name = path.stem
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) == str(path):
        return sys.modules[name]
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
