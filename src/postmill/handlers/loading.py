"""Finds a worker or a flow by name: ``module:name``, or the path of a file and a name. Imports the user's
module, nothing else.
"""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from postmill.handlers.decorator import Worker
from postmill.handlers.edge_worker import EdgeWorker
from postmill.model.errors import InvalidHandler, PostmillError

if TYPE_CHECKING:
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
            f"{target!r} does not name a worker.",
            why="It has the form module:name.",
            hint="For example: postmill worker run worker:greet",
        )
    found = getattr(_module(place), name, None)
    if isinstance(found, Worker):
        return found
    if _is_flow(found):
        return cast("Any", found).handler()  # type: ignore[no-any-return]
    known = sorted(
        key for key, value in vars(_module(place)).items() if isinstance(value, Worker) or _is_flow(value)
    )
    raise InvalidHandler(
        f"{place} has no worker named {name!r}.",
        why="There is no such name." if found is None else f"It is a {type(found).__name__}.",
        hint=f"Workers there: {', '.join(known)}." if known else "Decorate a function with @worker.",
    )


def _is_flow(value: object) -> bool:
    """Whether it is something else than a worker that makes a handler: flows stand above this module. Its
    class is asked: a marker in the module has any attribute that it is asked for.
    """
    return callable(getattr(type(value), "handler", None))


def _module(place: str) -> ModuleType:
    if place.endswith(".py") and not Path(place).is_file():
        raise InvalidHandler(f"There is no file {place}.", hint="Give the path of a Python file.")
    try:
        with EdgeWorker.registering():  # a file that also runs as a script starts nothing here
            return _from_file(Path(place)) if place.endswith(".py") else import_module(place)
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
