"""Where this project's functions are served now, for commands in other terminals; and asking there."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from postmill.model.errors import NotFound, PostmillError
from postmill.model.settings import STATE_FOLDER

if TYPE_CHECKING:
    from pathlib import Path

FILE = "served.json"
TIMEOUT_S = 10.0


def remember(project: Path, url: str) -> None:
    """Functions are served at ``url`` by this process."""
    folder = project / STATE_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps({"url": url, "pid": os.getpid()}), encoding="utf-8")


def forget(project: Path) -> None:
    """This process serves them no more."""
    path = project / STATE_FOLDER / FILE
    if _read(path).get("pid") == os.getpid():
        path.unlink(missing_ok=True)


def ask(project: Path, method: str, path: str, *, timeout_s: float = TIMEOUT_S) -> Any | None:
    """What the host of this project answers; None when it is not running.

    Raises :class:`NotFound` for what it does not know, :class:`PostmillError` for another refusal.
    """
    from postmill.auth import key_file

    url = _read(project / STATE_FOLDER / FILE).get("url")
    keys = key_file.load(project / STATE_FOLDER, os.environ)
    if url is None or keys is None:
        return None
    request = urllib.request.Request(  # noqa: S310 - our own file names the address
        f"{url}/control/v1/{path}", method=method, headers={"apikey": keys.secret}
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(error) from error
    except (OSError, ValueError):
        return None


def _refusal(error: urllib.error.HTTPError) -> PostmillError:
    try:
        message = json.load(error)["message"]
    except (ValueError, KeyError, TypeError):
        message = f"The host answered {error.code}."
    return NotFound(message) if error.code == 404 else PostmillError(message)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
