"""What the newcomer's pages show is real: Python blocks load, commands exist, links lead somewhere."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import click
import pytest

from postmill import Worker
from postmill.cli.commands import init
from postmill.cli.main import root

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / name
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "docs/README.md",
        "docs/tutorial/first-worker.md",
        "docs/tutorial/first-flow.md",
        "docs/tutorial/first-function.md",
        "docs/tutorial/the-demo.md",
        "docs/tutorial/supaqueues-day.md",
        "docs/tutorial/supaworker.md",
        "docs/howto/write-a-worker.md",
        "docs/howto/flows-on-a-schedule.md",
        "docs/howto/resume-and-fork.md",
        "docs/howto/versions-and-deploys.md",
        "docs/howto/retries-and-dead-letters.md",
        "docs/howto/exactly-once-writes.md",
        "docs/howto/fastapi-apps.md",
        "docs/howto/function-secrets.md",
        "docs/howto/function-limits.md",
        "docs/howto/deploy-functions.md",
        "docs/howto/periodic-work.md",
        "docs/howto/send-from-fastapi.md",
        "docs/howto/find-a-failure.md",
        "docs/howto/release-functions.md",
        "docs/howto/production-roles.md",
        "docs/explanation/dependencies.md",
    )
]
PAGES += sorted((ROOT / "docs" / "coming-from").glob("*.md"))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)


def commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.splitlines():
                name = str(page.relative_to(ROOT))
                if re.match(r"(\.venv/bin/)?postmill\b", line):
                    yield name, line


@pytest.mark.parametrize(
    ("page", "source"),
    [(page.name, block) for page in PAGES for block in blocks(page, "python") if "asyncio.run" not in block],
)
def test_python_blocks_load(page: str, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("shown")
    monkeypatch.setitem(__import__("sys").modules, "shown", module)  # where annotations are looked up
    exec(compile(source, page, "exec"), module.__dict__)
    if "@worker" in source:
        assert any(isinstance(value, Worker) for value in vars(module).values())


@pytest.mark.parametrize(("page", "line"), list(commands()))
def test_commands_exist_with_these_options(page: str, line: str) -> None:
    """Parsed by the command itself, down to its own parameters, and not run."""
    words = shlex.split(re.split(r" [|>] ", line)[0], comments=True)[1:]
    command: click.Command = root
    context = click.Context(root, info_name="postmill", resilient_parsing=True)
    while isinstance(command, click.Group):
        name, command, words = command.resolve_command(context, words)  # type: ignore[assignment]
        assert command is not None, f"{page}: no command {name}"
        context = click.Context(command, info_name=name, parent=context)
    command.parse_args(context, words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


def test_the_index_lists_every_page() -> None:
    folder = ROOT / "docs"
    listed = set(re.findall(r"\]\(([^)#]+)", (folder / "README.md").read_text(encoding="utf-8")))
    pages = {str(page.relative_to(folder)) for page in folder.glob("*/*.md")}
    assert pages - listed == set()


def test_the_readme_shows_the_worker_that_init_writes() -> None:
    shown, _flow = blocks(ROOT / "README.md", "python")
    assert shown.strip() == init.WORKER.partition('"""\n\n')[2].strip()


def test_every_dependency_has_its_line() -> None:
    """A dependency without a reason on the page is a dependency nobody thought about."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = [
        *project["project"]["dependencies"],
        *[line for extra in project["project"].get("optional-dependencies", {}).values() for line in extra],
        *[line for group in project["dependency-groups"].values() for line in group],
    ]
    wanted = {re.split(r"[\[<>=!;~ ]", line, maxsplit=1)[0] for line in named}
    text = (ROOT / "docs/explanation/dependencies.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^(?:\*\*|\| )([a-z0-9-]+)", text, re.M))
    assert wanted - explained == set()
