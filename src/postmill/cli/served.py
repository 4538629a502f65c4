"""Where this project's functions are served now, for commands in other terminals; and asking there.

``served.json`` outlives a host that was killed, and comes along when a project is copied. So it names the
folder it was written for, and the host at its address must prove that it wrote it before it is sent a key.
"""

from __future__ import annotations

import json
import os
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from postmill.model.config.settings import STATE_FOLDER
from postmill.model.errors import NotFound, PostmillError

if TYPE_CHECKING:
    from pathlib import Path

    from postmill.auth.keys import ProjectKeys

FILE = "served.json"
TIMEOUT_S = 10.0
"""How long a request to the running host may take, in seconds. 10 s: the host answers from memory, and a
command that hangs for longer looks broken.
"""
PROOF_S = 5.0
"""How long a host may take to prove that it is this project's, in seconds. The proof needs no file and no
database, so 5 s are ample on a busy machine.
"""
LONGEST_PROOF = 1024
"""Bytes of the answer that are read. The proof in it has 64 characters; 1 KiB leaves room for the JSON around
it, and bounds what a foreign server on that port can send.
"""


def remember(project: Path, url: str, identity: str) -> None:
    """Functions are served at ``url`` by this process, which knows ``identity``. Raises ``Refused``."""
    from postmill.auth import private_file

    folder = project / STATE_FOLDER
    private_file.make_folder(folder)
    content = {"url": url, "pid": os.getpid(), "folder": _identity_of(folder), "identity": identity}
    private_file.write(folder / FILE, content)


def forget(project: Path, identity: str) -> None:
    """Forget the address, if the process that knows ``identity`` has written it."""
    path = project / STATE_FOLDER / FILE
    if _read(path).get("identity") == identity:
        path.unlink(missing_ok=True)


def url(project: Path) -> str | None:
    """Where a process of this project says that it serves functions; it is not asked."""
    folder = project / STATE_FOLDER
    host = _read(folder / FILE)
    known = _is_complete(host) and host["folder"] == _identity_of(folder)
    return str(host["url"]) if known else None


def ask(project: Path, method: str, path: str, *, timeout_s: float = TIMEOUT_S) -> Any | None:
    """What the host of this project answers; None when it is not running.

    Raises :class:`NotFound` for what it does not know, :class:`PostmillError` for another refusal.
    """
    from postmill.auth import key_file

    folder = project / STATE_FOLDER
    host = _read(folder / FILE)
    if not _is_complete(host) or host["folder"] != _identity_of(folder):
        return None
    keys = key_file.load(folder, os.environ)
    if keys is None:
        return None
    try:
        with closing(_connected(host["url"])) as connection:
            if not _proves_itself(connection, host["identity"]):
                return None
            _set_timeout(connection, timeout_s)
            connection.request(method, f"/control/v1/{path}", headers=_credentials(keys))
            answer = connection.getresponse()
            return _understood(answer.status, answer.read())
    except (OSError, HTTPException, ValueError, RecursionError):
        return None


def _credentials(keys: ProjectKeys) -> dict[str, str]:
    """The service role's JWT. With ``POSTMILL_JWT_SECRET`` alone each process has a secret key of its own,
    and only what the secret signed is known to both.
    """
    return {"authorization": f"Bearer {keys.service_role}"}


def _connected(url: str) -> HTTPConnection:
    """One connection, which is never opened again by itself: the key goes only to the peer that has proved
    itself. No proxy of the environment is used.
    """
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PROOF_S)
    connection.connect()
    connection.auto_open = 0
    return connection


def _proves_itself(connection: HTTPConnection, identity: str) -> bool:
    from postmill.auth import host_proof

    challenge = host_proof.new_challenge()
    connection.request("GET", f"{host_proof.PATH}?challenge={challenge}")
    answer = connection.getresponse()
    body = answer.read(LONGEST_PROOF)
    if answer.status != 200 or not answer.isclosed() or connection.sock is None:
        return False
    found = json.loads(body)
    address = connection.sock.getpeername()[:2]
    return isinstance(found, dict) and host_proof.is_proven(identity, challenge, address, found.get("proof"))


def _set_timeout(connection: HTTPConnection, timeout_s: float) -> None:
    connection.sock.settimeout(timeout_s)


def _understood(status: int, body: bytes) -> Any:
    """The host's answer. Raises for a refusal, and ``ValueError`` for an answer that no host gives."""
    content = json.loads(body)
    if status == 200:
        return content
    said = content.get("message") if isinstance(content, dict) else None
    message = str(said or f"The host answered {status}.")
    raise NotFound(message) if status == 404 else PostmillError(message)


def _is_complete(host: dict[str, Any]) -> bool:
    return all(isinstance(host.get(name), str) and host[name] for name in ("url", "folder", "identity"))


def _identity_of(folder: Path) -> str:
    """What tells the folder from a copy of it."""
    from postmill.embedded.folder import identity_of

    return identity_of(folder)


def _read(path: Path) -> dict[str, Any]:
    from postmill.embedded import state_file

    return state_file.read(path)
