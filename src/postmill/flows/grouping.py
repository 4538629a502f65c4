"""The rule by which the tasks of a step have their group: what ``group_key=`` says, as the database keeps it.

Raises :class:`InvalidFlow` at the definition.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from postmill.client.options import MAX_KEY
from postmill.flows.definition import check_edge, edge, given_by
from postmill.flows.steps import Step
from postmill.model.errors import InvalidFlow
from postmill.model.flow.edge_types import at_path, fits, shown
from postmill.model.flow.markers import Marker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postmill.flows.definition import Scope
    from postmill.model.flow.shape import Read

_KEY: Any = str | float | bool | None
"""What a key may be; a float stands for every number."""


def rule_of(scope: Scope, name: str, key: object, over: Read | None) -> Mapping[str, Any] | None:
    """The rule; None: its tasks have no group. ``over``: the list that the step, a map, runs over."""
    if key is None:
        return None
    if isinstance(key, str) and 1 <= len(key) <= MAX_KEY:
        return {"key": key}
    if not isinstance(key, Marker):
        given = f"<step {key.name}>" if isinstance(key, Step) else repr(key)
        raise InvalidFlow(
            f"group_key={given} of step {name!r} is no key of a group.",
            why=f"It is a text of 1 to {MAX_KEY} characters, or a marker.",
            hint="For example: group_key=site.input.tenant, group_key='reports'.",
        )
    if key.postmill_read.kind == "each":
        return _in_the_item(scope, name, key, over)
    read = edge(scope, name, key)
    check_edge(name, key, _KEY, scope.known, "group_key")
    return {"of": read.of, "path": list(read.path)}


def _in_the_item(scope: Scope, name: str, key: Marker, over: Read | None) -> Mapping[str, Any]:
    fields = key.postmill_read.item_path
    whole = Marker(key.postmill_source, replace(key.postmill_read, item_path=()))
    if edge(scope, name, whole) != over:
        raise InvalidFlow(
            f"group_key={key!r} of step {name!r} is not of the items that it runs over.",
            why="Each task of a map has one item, and a task of another step has none.",
            hint="Give a field of the item that the map's own parameter is given, or of the flow's input.",
        )
    item = given_by(name, whole, at_path(key.postmill_source.type, over.path)[0])
    try:
        found, path = at_path(item, fields)
    except InvalidFlow as error:
        error.what = f"Step {name!r} reads {key!r}: {error.what}"
        raise
    if not fits(found, _KEY):
        raise InvalidFlow(
            f"Step {name!r} takes group_key: {shown(_KEY)}, and {key!r} gives {shown(found)}.",
            hint="Give a field that is a text, a number or a bool.",
        )
    return {"item": list(path)}
