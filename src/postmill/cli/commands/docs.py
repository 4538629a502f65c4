"""``postmill docs``: the pages that this version came with."""

from __future__ import annotations

from pathlib import Path

import click

import postmill
from postmill.cli.options import global_options
from postmill.model.errors import InvalidOption, NotFound
from postmill.model.option_rules import did_you_mean


@click.command()
@click.argument("page", required=False)
@global_options
def docs(page: str | None) -> None:
    """Print a page of the documentation, or list the pages."""
    folder = _folder()
    pages = {
        path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.glob("*/*.md"))
    }
    if page is None:
        width = max(len(name) for name in pages) + 2
        for name, path in pages.items():
            click.echo(
                f"{name:<{width}}{path.read_text(encoding='utf-8').partition(chr(10))[0].lstrip('# ')}"
            )
        return
    page = page.removesuffix(".md")  # as a link in the documentation names it
    found = [name for name in pages if page in (name, name.rpartition("/")[2])]
    if not found:
        near = did_you_mean(page, [*pages, *(name.rpartition("/")[2] for name in pages)])
        raise NotFound(f"There is no page {page}.", hint=near or "postmill docs lists them.")
    if len(found) > 1:
        raise InvalidOption(f"There are several pages {page}.", hint=f"Give one of {', '.join(found)}.")
    click.echo(pages[found[0]].read_text(encoding="utf-8"), nl=False)


def _folder() -> Path:
    """In an installed package the pages are in it; in a clone they are beside its sources."""
    package = Path(postmill.__file__).parent
    return package / "docs" if (package / "docs").is_dir() else package.parents[1] / "docs"
