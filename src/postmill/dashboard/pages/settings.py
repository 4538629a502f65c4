"""Settings: what is installed, who may do what, how long things are kept; and the choice of the theme."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.api.resources import settings
from postmill.dashboard.page import View, page

if TYPE_CHECKING:
    from postmill.dashboard.page import Visit

SIGNS = {
    "pass": "completed",
    "warn": "retrying",
    "fail": "dead",
    "installed": "completed",
    "outdated": "retrying",
    "missing": "dead",
    "taken": "retrying",
    "available": "scheduled",
}
"""Of each finding and each state of a part: the sign of a message's state that looks alike."""


@page("/settings", tab="Settings")
async def settings_page(visit: Visit) -> View:
    """Only shows: what is set here is set in ``postmill.toml`` and in the database."""
    return View("Settings", {"settings": await settings.show_settings(visit.desk), "signs": SIGNS})
