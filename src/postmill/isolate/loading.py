"""Finds out what a function's file is: a ``handler``, an ASGI ``app``, or workers and flows. Imports it, no
more.
"""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from postmill.handlers.decorator import Worker
from postmill.handlers.edge_worker import EdgeWorker
from postmill.handlers.loading import without_parts
from postmill.isolate import after_fork
from postmill.model.error_text import summary_of, traceback_of
from postmill.wire.frames import Trouble


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be run."""

    kind: str
    """``handler``, ``app`` or ``worker``."""
    target: Any
    """The function, the ASGI application, or a list of workers, flows and workflows."""


_FLOWS = (("postmill.flows.flow", "Flow"), ("postmill.flows.workflow", "Workflow"))
"""What defines a flow. A file that does so has imported the class; no other function pays for that import."""


class BootError(Exception):
    """The function can't be started; ``trouble`` says why."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.summary)
        self.trouble = trouble


def load(path: Path, folder: Path) -> Entry:
    """Import the file ``path`` and find its entry point; ``folder`` is where shared code is.

    Raises :class:`BootError`. The file's folder, ``folder`` and the project's folder around it go to the end
    of the import path: a function may be called ``queue`` or ``email`` without hiding the standard library's
    module.
    """
    places = [str(place) for place in dict.fromkeys((path.parent, folder, folder.parent))]
    sys.path += [place for place in places if place not in sys.path]
    try:
        after_fork.renew()
        with EdgeWorker.registering() as registered:
            module = _imported(path, folder)
    except BaseException as error:  # also SystemExit: the isolate must say why it ends
        raise BootError(_trouble(error, path)) from error
    return _entry(module, path, registered)


def _imported(path: Path, folder: Path) -> ModuleType:
    """The file as a module of the package that its folder is, so that relative imports find its neighbours:
    ``functions/pay/main.py`` is ``functions.pay.main``.
    """
    parts = path.relative_to(folder).with_suffix("").parts if path.is_relative_to(folder) else ()
    if not parts or path.suffix != ".py" or any("." in part for part in parts):
        return _imported_alone(path)
    root = folder.name
    if not _is_package(root, folder):  # another package has that name
        root = "postmill_functions"
        sys.modules[root] = package = ModuleType(root)
        package.__path__ = [str(folder)]
    return import_module(".".join((root, *parts)))


def _is_package(name: str, folder: Path) -> bool:
    """Whether an import of this name leads to the folder."""
    if "." in name:
        return False
    spec = find_spec(name)
    places = [] if spec is None else [*(spec.submodule_search_locations or ())]
    return any(Path(place).resolve() == folder.resolve() for place in places)


def _imported_alone(path: Path) -> ModuleType:
    name = path.stem if path.stem not in sys.modules else f"function_{path.stem}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _entry(module: ModuleType, path: Path, registered: list[Worker]) -> Entry:
    app, handler = getattr(module, "app", None), getattr(module, "handler", None)
    flows = _flow_classes()
    declared = [value for value in vars(module).values() if _is_of(value, module, (Worker, *flows))]
    runs = without_parts((*declared, *registered))
    found = []
    if runs:
        found.append(Entry("worker", runs))
    if callable(app) and not isinstance(app, (Worker, *flows)):
        found.append(Entry("app", app))
    elif callable(handler) and not isinstance(handler, (Worker, *flows)):
        found.append(Entry("handler", handler))
    if len(found) == 1:
        return found[0]
    if found:
        raise BootError(
            Trouble(
                f"{path.name} has both a worker or flow and an HTTP entry point; put them into two files.", ""
            )
        )
    raise BootError(
        Trouble(
            f"{path.name} has no entry point: define `async def handler(request)`, "
            "an ASGI application named `app`, a function decorated with @worker, or a flow.",
            "",
        )
    )


def _flow_classes() -> tuple[type, ...]:
    return tuple(getattr(sys.modules[module], name) for module, name in _FLOWS if module in sys.modules)


def _is_of(value: object, module: ModuleType, kinds: tuple[type, ...]) -> bool:
    """Workers and flows that were imported from elsewhere, to send to them or start them, are not this
    function's. By class: a flow's markers have every attribute.
    """
    return isinstance(value, kinds) and value.module == module.__name__  # type: ignore[attr-defined]


def _trouble(error: BaseException, path: Path) -> Trouble:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == path]
    where = f" ({path.name}, line {lines[-1]})" if lines else ""  # a syntax error says it itself
    return Trouble(f"{path.name} can't be imported: {summary_of(error)}{where}", traceback_of(error))
