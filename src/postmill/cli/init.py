"""``postmill init``: the files a new project starts with. Never overwrites anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from postmill.cli.options import global_options, json_option
from postmill.model.errors import Refused
from postmill.model.settings import STATE_FOLDER

if TYPE_CHECKING:
    from postmill.cli.session import Session

IGNORED = (".postmill/", "functions/.env")

TOML = """\
# Settings of this project. Every key: docs/reference/configuration.md
# Without a url the project's own Postgres runs in .postmill/ and is started when needed.
# An address with a password is better kept in the environment: POSTMILL_DB_URL.

[db]
# url = "postgresql://user@host:5432/database"

[db.settings]
# shared_buffers = "128MB"

[log]
level = "info"
format = "text"
"""

WORKER = '''\
"""An example worker. Run it: postmill dev. Give it work: postmill send hello '{"name": "world"}'"""

from __future__ import annotations

from typing import Any

from postmill import Context, worker


@worker(queue="hello", max_concurrent=10)
async def greet(payload: dict[str, Any], ctx: Context) -> None:
    """Called once a message. Returning completes the message, raising retries it."""
    ctx.log.info(f"hello, {payload['name']}")
'''


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False))
@json_option
@global_options
@click.pass_obj
def init(session: Session, folder: Path) -> None:
    """Start a project: postmill.toml, an example worker and keys.

    Writes postmill.toml, worker.py and .postmill/keys.json into FOLDER (default: this one) and adds
    .postmill/ and functions/.env to its .gitignore. Existing files are never overwritten.
    """
    files = {folder / "postmill.toml": TOML, folder / "worker.py": WORKER}
    taken = [str(path) for path in files if path.exists()]
    if taken:
        raise Refused(
            f"{' and '.join(taken)} already exist{'s' if len(taken) == 1 else ''}; nothing was written.",
            why="init never overwrites a file.",
            hint="Choose another folder, for example: postmill init my-project",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    _ignore(folder / ".gitignore")
    written = [*files, folder / ".gitignore", *_keys(folder / STATE_FOLDER)]
    session.output.rows([{"file": str(path)} for path in written], ("file",))
    session.output.note("Next: postmill dev" if folder == Path() else f"Next: cd {folder} && postmill dev")


def _keys(folder: Path) -> list[Path]:
    """The keys that functions are called with, unless there are some."""
    from postmill.auth import key_file

    path = folder / key_file.FILE_NAME
    if path.exists():
        return []
    key_file.create(folder)
    return [path]


def _ignore(path: Path) -> None:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    missing = [line for line in IGNORED if line not in text.splitlines()]
    if missing:
        separator = "" if not text or text.endswith("\n") else "\n"
        path.write_text(text + separator + "\n".join(missing) + "\n", encoding="utf-8")
