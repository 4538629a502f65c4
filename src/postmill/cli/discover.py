"""Finds the workers and flows that a folder's files define, by reading them: it imports and runs nothing.

A worker is a module-level function decorated with ``worker`` (or ``postmill.worker``), or a module-level name
bound to a call of it. A flow is the same with ``workflow``, or a module-level name bound to ``Flow(...)``.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postmill.model.errors import NotFound
from postmill.model.queue.worker_options import DEFAULT_QUEUE, names_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "tests", "venv"})
MADE_BY = frozenset({"worker", "workflow", "Flow"})
"""What makes something that ``postmill worker run`` runs."""
STEPS = frozenset({"step", "map"})
"""What makes a step: of a durable function, or as a method of a flow."""
MOST_FILES = 2000
"""The most Python files that are read in search of workers. A project has hundreds; a folder with more than
2,000 is a wrong folder, such as a home folder, and reading it would take many seconds.
"""


@dataclass(frozen=True, slots=True)
class Target:
    """A worker as ``postmill worker run`` takes it, and the folder its module is imported from."""

    name: str
    """``module:name``."""
    root: Path
    path: Path
    """The file that defines it."""
    queue: str
    """Its queue's name, as far as the file says it with a plain string."""
    resources: dict[str, float] | None = None
    """With ``executor="ray"`` what its tasks need, as far as the file says it plainly; else None."""


Problems = dict["Path", str]
"""Files that may be meant to define workers that do not run, and why: a sentence without its subject."""


def targets(place: Path, *, leave_out: Path | None = None, problems: Problems | None = None) -> list[Target]:
    """The workers defined in the file ``place``, or in the Python files under the folder ``place``.

    Hidden folders, virtual environments, tests, other projects (folders with a ``postmill.toml`` of their
    own) and the folder ``leave_out`` are left out. A file that does not parse has none, and a method is none:
    both are put into ``problems``.
    Raises :class:`NotFound` when there is no such place.
    """
    problems = {} if problems is None else problems
    return [
        target
        for path, tree in _modules(place, leave_out, problems)
        for target in _workers(path, tree, problems)
    ]


def cluster_needs(place: Path) -> list[tuple[str, dict[str, float]]]:
    """The names of what runs on Ray of the files in ``place``, and what its tasks need, as far as the files
    say it plainly: workers and flows, and steps that say so themselves. Raises as :func:`targets`.
    """
    of_workers, of_steps = [], []
    for path, tree in _modules(place, None, {}):
        of_workers += [(each.name, each.resources) for each in _workers(path, tree, {})]
        module, _ = _module_of(path.absolute())
        of_steps += [
            (f"{module}:{node.name}", _needs_of_step(node))
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
    return [(name, needs) for name, needs in of_workers + of_steps if needs is not None]


def _modules(place: Path, leave_out: Path | None, problems: Problems) -> Iterator[tuple[Path, ast.Module]]:
    """The files that import postmill, parsed."""
    if not place.exists():
        raise NotFound(f"There is no file or folder {place}.", hint="postmill init makes an example worker.")
    files = [place] if place.is_file() else sorted(_python_files(place, leave_out))[:MOST_FILES]
    for path in files:
        tree = _parsed(path, problems)
        if tree is not None and _imports_postmill(tree):
            yield path, tree


def _python_files(folder: Path, leave_out: Path | None) -> Iterator[Path]:
    if folder == leave_out:
        return
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            if not (entry.name.startswith(".") or entry.name in SKIPPED or _is_apart(entry)):
                yield from _python_files(entry, leave_out)
        elif entry.suffix == ".py":
            yield entry


def _is_apart(folder: Path) -> bool:
    """Whether it is a virtual environment, or a project of its own."""
    return (folder / "pyvenv.cfg").exists() or (folder / "postmill.toml").exists()


def _parsed(path: Path, problems: Problems) -> ast.Module | None:
    try:
        source = path.read_bytes()
        return ast.parse(source, path.name) if _may_have_some(source) else None
    except FileNotFoundError:
        return None  # removed meanwhile, or an editor's lock: a link that leads nowhere
    except (OSError, SyntaxError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        problems[path] = f"can't be read: {why}. Workers in it do not run until it can."
        return None


def _workers(path: Path, tree: ast.Module, problems: Problems) -> Iterator[Target]:
    for method in _methods(tree):
        problems[path] = f"has @worker on {method}, a method, which can't be run. Make it a function."
    module, root = _module_of(path.absolute())
    for node in tree.body:
        for name in _bound(node):
            resources = _resources_of(_options_of(node))
            yield Target(f"{module}:{name}", root, path, _queue_of(node), resources)


def _may_have_some(source: bytes) -> bool:
    return b"postmill" in source and any(name.encode() in source for name in MADE_BY | STEPS)


def _imports_postmill(tree: ast.Module) -> bool:
    names = (name for node in tree.body for name in _imported(node))
    return any(name == "postmill" or name.startswith("postmill.") for name in names)


def _imported(node: ast.stmt) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(module=str(module)):
            return [module]
        case _:
            return []


def _bound(node: ast.stmt) -> list[str]:
    """The names that a statement gives to workers."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() if any(map(_is_worker, node.decorator_list)):
            return [node.name]
        case ast.Assign(value=ast.Call() as value) if _is_worker(value):
            return [target.id for target in node.targets if isinstance(target, ast.Name)]
        case _:
            return []


def _queue_of(node: ast.stmt) -> str:
    """The queue that the options name. When they name none: of a flow its name, else the default one."""
    for option in _options_of(node):
        if option.arg in names_of("queue") and isinstance(option.value, ast.Constant):
            return str(option.value.value)
    return _flow_name(node) or DEFAULT_QUEUE


def _resources_of(given: Iterable[ast.keyword], *, inherits: bool = False) -> dict[str, float] | None:
    """What tasks on a Ray cluster need, by options; None for what runs in its worker. ``inherits``: what it
    needs says that it runs there, as a flow may say for its steps.
    """
    options = {option.arg: option.value for option in given}
    executor = options.get("executor")
    is_on_ray = isinstance(executor, ast.Constant) and executor.value == "ray"
    if not is_on_ray and not (inherits and executor is None and "resources" in options):
        return None
    try:
        return dict(ast.literal_eval(options.get("resources", ast.Dict([], []))))
    except (TypeError, ValueError):
        return {}


def _needs_of_step(node: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, float] | None:
    """What a function needs that is decorated with ``step``, or with ``step`` or ``map`` of a flow."""
    for decorator in node.decorator_list:
        match decorator:
            case ast.Call(func=ast.Name(id="step")):
                return _resources_of(decorator.keywords)
            case ast.Call(func=ast.Attribute(attr=name)) if name in STEPS:
                return _resources_of(decorator.keywords, inherits=True)
    return None


def _options_of(node: ast.stmt) -> Iterator[ast.keyword]:
    for call in (each for each in ast.walk(node) if isinstance(each, ast.Call) and _is_worker(each)):
        yield from call.keywords


def _flow_name(node: ast.stmt) -> str | None:
    match node:
        case ast.Assign(value=ast.Call(func=func, args=[ast.Constant(value=str(name)), *_])) if (
            _made_by(func) == "Flow"
        ):
            return name
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return node.name if any(_made_by(each) == "workflow" for each in node.decorator_list) else None
        case _:
            return None


def _methods(tree: ast.Module) -> Iterator[str]:
    """Functions in classes that are decorated as workers."""
    for scope in tree.body:
        if isinstance(scope, ast.ClassDef):
            functions = [node for node in scope.body if not isinstance(node, ast.Assign)]
            yield from (f"{scope.name}.{name}" for node in functions for name in _bound(node))


def _is_worker(node: ast.expr) -> bool:
    return _made_by(node) in MADE_BY


def _made_by(node: ast.expr) -> str | None:
    """The name of what is called, or decorates."""
    match node:
        case ast.Call():  # also worker(queue="q")(function)
            return _made_by(node.func)
        case ast.Attribute(value=ast.Name(id="postmill"), attr=name) | ast.Name(id=name):
            return name
        case _:
            return None


def _module_of(path: Path) -> tuple[str, Path]:
    """The dotted name of a file and the folder that must be on the import path for it."""
    parts = [] if path.name == "__init__.py" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts), folder
