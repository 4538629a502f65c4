"""A process becomes an isolate: what it is told, its environment and limits, the function, the exit.

Called in a fork of the zygote, or executed: ``python -m postmill.isolate.child <channel> <records>``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import time
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from postmill.isolate import confinement as process
from postmill.isolate import output
from postmill.wire.frames import HEAD, Account, Boot, Kind, Trouble
from postmill.wire.marks import INHERITED

if TYPE_CHECKING:
    from collections.abc import Callable

PRELOADED = (
    "asyncio",
    "uvloop",
    "orjson",
    "asyncpg",
    "anyio.to_thread",
    "anyio._backends._asyncio",
    "starlette.applications",
    "starlette.requests",
    "starlette.responses",
    "starlette.routing",
    "starlette.websockets",
    "postmill.handlers",
    "postmill.engine.engine",
    "postmill.isolate.isolate",
    "postmill.isolate.loading",
)
"""What every isolate needs, imported once in the zygote."""

FAILED = 1
"""The exit code of an isolate that could not load its function or broke: any code but 0 would do, and 1 is
the usual one.
"""


def preload() -> None:
    """Import what every isolate needs."""
    for module in PRELOADED:
        with suppress(ImportError):
            import_module(module)


def main(channel: int, records: int) -> NoReturn:
    """Runs the isolate from its start to its end. It exits the process itself, so that threads that hang are
    not waited for.
    """
    status = FAILED
    try:
        for descriptor in (channel, records):
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - its only form
        sock = socket.socket(fileno=channel)
        boot = _told(sock)
        try:
            _become(boot, records)
        except Exception as error:
            _say_failed(sock, Trouble(f"its process can't be what it should be: {error}", ""))
        else:
            status = _serve(boot, sock)
    except BaseException:
        with suppress(Exception):
            traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(status)


def _told(sock: socket.socket) -> Boot:
    """The first frame. Only it is read: what follows belongs to the event loop."""
    length, kind, _ = HEAD.unpack(_exactly(sock, HEAD.size))
    if kind != Kind.BOOT:
        raise RuntimeError(f"the host began with frame {kind}")
    return msgspec.msgpack.decode(_exactly(sock, length), type=Boot)


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            os._exit(0)  # the host has changed its mind
        data += piece
    return data


def _become(boot: Boot, records: int) -> None:
    inherited = _inherited(boot.account)
    os.environ.clear()
    os.environ.update(inherited | boot.env)
    time.tzset()  # TZ is read by the C library when it is told to
    sys.path[1:1] = filter(None, boot.env.get("PYTHONPATH", "").split(os.pathsep))
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    output.configure(boot.env.get("POSTMILL_LOG_LEVEL", "info"), records)
    process.limit(boot.memory_bytes, boot.cpu_s, boot.threads)
    if boot.account is not None:
        preload()  # Postmill's code, which the account may not be able to read
        process.change_to(boot.account)
        _warn_if_python_is_hidden(boot.account)
    os.chdir(boot.folder)


def _inherited(account: Account | None) -> dict[str, str]:
    """The variables of the host's environment that an isolate gets."""
    given = {name: os.environ[name] for name in INHERITED if name in os.environ}
    if account is not None:
        given |= {"HOME": account.home, "USER": account.name, "LOGNAME": account.name}
    return given


def _warn_if_python_is_hidden(account: Account) -> None:
    """Warn, because Python treats a module that it may not read as one that is missing."""
    if not os.access(os.__file__, os.R_OK):
        text = "%s may not read the modules below %s: it can import what is preloaded, and nothing else"
        logging.getLogger("postmill").warning(text, account.name, Path(os.__file__).parent)


def _serve(boot: Boot, sock: socket.socket) -> int:
    from postmill.isolate import loading, workers  # noqa: PLC0415 - the zygote has them; it must not need them

    workers.know_database()
    try:
        entry = loading.load(Path(boot.path), Path(boot.folder))
    except loading.BootError as error:
        _say_failed(sock, error.trouble)
        return FAILED
    from postmill.isolate.isolate import Isolate  # noqa: PLC0415

    async def live() -> None:
        await Isolate(boot, entry).run(sock)

    runner = asyncio.Runner(loop_factory=_loop_factory())
    runner.run(live())
    return 0


def _say_failed(sock: socket.socket, trouble: Trouble) -> None:
    payload = msgspec.msgpack.encode(trouble)
    sock.sendall(HEAD.pack(len(payload), Kind.BOOT_FAILED, 0) + payload)


def _loop_factory() -> Callable[[], Any] | None:
    if os.environ.get("POSTMILL_LOOP") == "asyncio":
        return None
    try:
        return import_module("uvloop").new_event_loop  # type: ignore[no-any-return]
    except ImportError:
        return None


if __name__ == "__main__":
    os.setsid() if os.getpgrp() != os.getpid() else None
    main(int(sys.argv[1]), int(sys.argv[2]))
