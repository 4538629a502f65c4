"""The entries of the navigation, in the order in which a person needs them."""

from __future__ import annotations

from typing import NamedTuple


class Tab(NamedTuple):
    """An entry, and the key that jumps to it after ``g``."""

    name: str
    path: str
    key: str


TABS = (
    Tab("Overview", "/", "o"),
    Tab("Messages", "/messages", "m"),
    Tab("Dead letters", "/dead", "d"),
    Tab("Errors", "/errors", "e"),
    Tab("Operations", "/operations", "p"),
    Tab("Runs", "/runs", "r"),
    Tab("Flows", "/flows", "f"),
    Tab("Schedules", "/schedules", "s"),
    Tab("Workers", "/workers", "w"),
    Tab("Calls", "/calls", "c"),
    Tab("Functions", "/functions", "u"),
    Tab("Audit", "/audit", "a"),
    Tab("Settings", "/settings", "t"),
)
"""Those whose page is there."""
