"""The documentation, from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.acceptance.conftest import Answer

if TYPE_CHECKING:
    from tests.acceptance.conftest import Cli

PAGES = Path(__file__).parents[2] / "docs"


def test_pages_are_listed_and_printed(cli_without_database: Cli) -> None:
    listed = cli_without_database("docs").out
    assert "reference/configuration" in listed
    assert all("  " in line for line in listed.splitlines()), "a gap stands before each title"
    page = cli_without_database("docs", "configuration")
    assert page.out == (PAGES / "reference" / "configuration.md").read_text(encoding="utf-8")
    for name in ("reference/configuration", "reference/configuration.md", "configuration.md"):
        assert cli_without_database("docs", name) == Answer(0, page.out, "")


def test_names_and_titles_are_apart_in_the_list(cli_without_database: Cli) -> None:
    """The longest name ran into its title."""
    for line in cli_without_database("docs").out.splitlines():
        name, _, title = line.partition("  ")
        assert (PAGES / f"{name}.md").is_file()
        assert title


def test_a_page_that_is_not_there_or_twice_is_told(cli_without_database: Cli) -> None:
    missing = cli_without_database("docs", "configuratoin")
    assert (missing.error_code, "Did you mean configuration?" in missing.err) == ("not-found", True)
    assert "reference/metrics" in cli_without_database("docs", "metrics").err
