"""``postmill init``: the files a new project starts with. Never overwrites anything."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import TYPE_CHECKING

import click

from postmill.cli.options import global_options, json_option
from postmill.model.config.settings import STATE_FOLDER
from postmill.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postmill.cli.session import Session

IGNORED = (".postmill/", ".env", "__pycache__/")

TOML = """\
# Settings of this project. Every key: postmill docs configuration
# Without a url the project's own Postgres runs in .postmill/ and is started when needed.
# An address with a password is better kept in the environment: POSTMILL_DB_URL.

[db]
# url = "postgresql://user@host:5432/database"

[db.settings]
# shared_buffers = "128MB"

[log]
level = "info"
format = "text"

# How functions are served. Every key: postmill docs functions
# [runtime]
# port = 54321
# max_body_mb = 20

# One function, by its name.
# [functions.hello]
# verify_jwt = false
# [functions.hello.env]
# GREETING = "hello"
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
    .postmill/, .env and __pycache__/ to its .gitignore. Existing files are never overwritten.
    """
    from postmill.auth import private_file

    files = {folder / "postmill.toml": TOML, folder / "worker.py": WORKER}
    with private_file.turn(folder):
        _check_free(files)
        keys = _write_all(folder, files)
    written = [*files, folder / ".gitignore", *keys]
    session.output.rows([{"file": str(path)} for path in written], ("file",))
    session.output.note("Next: postmill dev" if folder == Path() else f"Next: cd {folder} && postmill dev")


def _check_free(files: Mapping[Path, str]) -> None:
    taken = [str(path) for path in files if path.exists() or path.is_symlink()]
    if taken:
        raise Refused(
            f"{' and '.join(taken)} already exist{'s' if len(taken) == 1 else ''}; nothing was written.",
            why="init never overwrites a file.",
            hint="Choose another folder, for example: postmill init my-project",
        )


def _write_all(folder: Path, files: Mapping[Path, str]) -> list[Path]:
    """Write all files. When that fails, none stays, so that the command can be given again."""
    made: list[Path] = []
    try:
        _ignore(folder / ".gitignore")
        keys = _keys(folder / STATE_FOLDER)
        for path, text in files.items():
            with path.open("x", encoding="utf-8") as file:
                made.append(path)
                file.write(text)
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)
        raise
    return keys


def _keys(folder: Path) -> list[Path]:
    """The keys that functions are called with, unless there are some."""
    from postmill.auth import key_file

    path = folder / key_file.FILE_NAME
    if path.exists():
        return []
    key_file.create(folder)
    return [path]


def _ignore(path: Path) -> None:
    """Add lines to the file. Its content stays as it is, byte for byte: it may be in any encoding, with any
    line ends.
    """
    there = path.read_bytes() if path.exists() else b""
    if there.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Refused(
            f"{path} is in UTF-16; nothing was written.",
            why="git can't read it.",
            hint="Save it as UTF-8, and try again.",
        )
    lines = there.removeprefix(codecs.BOM_UTF8).splitlines()
    end = b"\r\n" if b"\r\n" in there else b"\n"
    missing = [line.encode() for line in IGNORED if line.encode() not in lines]
    if missing:
        separator = b"" if not there or there.endswith(b"\n") else end
        with path.open("ab") as file:
            file.write(separator + b"".join(line + end for line in missing))
