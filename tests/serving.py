"""Functions served by a process of its own, `postmill serve` on a free port, for tests that call them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Self

import httpx

from postmill.auth import key_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

LISTENING = re.compile(r"Postmill: functions at (?P<url>\S+)/functions/v1/")


class Serving:
    """Runs a `postmill` command that serves functions; knows its URL and keys, and what it has said."""

    def __init__(
        self,
        project: Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        listening: bool = True,
    ) -> None:
        """Waits until functions can be called, unless ``listening`` is False: then :meth:`find` does."""
        self.project = project
        command = [sys.executable, "-m", "postmill.cli.main", *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=project,
            env={
                **os.environ,
                "PYTHONUNBUFFERED": "1",
                "POSTMILL_DASHBOARD": "off",  # its usual port is that of all tests that run at once
                **(environment or {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        if listening:
            try:
                self.find()
            except BaseException:
                self.close()
                raise

    def find(self) -> None:
        """Wait until functions can be called."""
        found = LISTENING.search(self.said("Postmill: functions at"))
        keys = key_file.load(self.project / ".postmill", {})
        assert found is not None
        assert keys is not None
        self.url, self.keys = found["url"], keys
        self.functions = f"{self.url}/functions/v1"
        self.client = httpx.Client(base_url=f"{self.functions}/", headers={"apikey": keys.anon}, timeout=60)

    def said(self, text: str, *, times: int = 1) -> str:
        """The line with ``text`` in it, once it was said ``times`` times; fails when the process ends."""
        with self._changed:
            while True:
                found = [line for line in self._lines if text in line]
                if len(found) >= times:
                    return found[times - 1]
                assert not self._ended, self.log
                assert self._changed.wait(100), self.log

    @property
    def log(self) -> str:
        """Everything said so far."""
        return "".join(self._lines)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask for the end; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(100)

    def close(self) -> None:
        """Whatever still runs is ended."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
            self.process.kill()
            self.process.wait()
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        if hasattr(self, "client"):
            self.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
