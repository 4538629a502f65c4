"""What every page brings along stays small: it is read before anything is shown, also over a slow line."""

from __future__ import annotations

from pathlib import Path

from postmill import dashboard

STATIC = Path(dashboard.__file__).parent / "static"
STYLE = 14 * 1024
SCRIPTS = 10 * 1024


def test_the_style_sheet_and_the_scripts_are_small() -> None:
    assert (STATIC / "style.css").stat().st_size <= STYLE
    assert sum(each.stat().st_size for each in STATIC.glob("*.js")) <= SCRIPTS
