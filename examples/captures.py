"""``python -m examples.captures``: draws the README's pictures from real runs of the demo and of ``dev``.

Each picture is what a terminal showed: the text is text, and only the folder of the run is called by a name
of its own. Needs nothing but this clone; takes about two minutes.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "captures"
WIDTH = 100
"""Columns: what GitHub shows of a picture without making its letters too small."""
PATIENCE_S = 120.0
"""For each thing that is waited for. The demo's slowest page takes a quarter of it on a busy machine."""
POSTMILL = (sys.executable, "-m", "postmill.cli.main")


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, *command: str, cwd: Path) -> None:
        self._terminal, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 60, WIDTH, 0, 0))
        unset = {"NO_COLOR", "CI", "POSTMILL_DB_URL", "DATABASE_URL"}
        environment = {name: value for name, value in os.environ.items() if name not in unset}
        environment |= {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdin=end, stdout=end, stderr=end, start_new_session=True
        )
        os.close(end)
        os.set_blocking(self._terminal, False)
        self.shown = ""

    def wait_for(self, text: str) -> None:
        """Until the terminal has shown ``text``. Raises ``TimeoutError``, and when the program ends first."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.shown:
            if time.monotonic() > deadline or (not self._read() and self.process.poll() is not None):
                raise TimeoutError(f"{text!r} was not shown:\n{self.shown}")
            time.sleep(0.02)

    def end(self) -> None:
        """Ask for its end, and read the rest."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE_S)
        while self._read():
            pass
        os.close(self._terminal)

    def _read(self) -> bool:
        try:
            more = os.read(self._terminal, 65536)
        except OSError:  # nothing yet, or the other end is closed
            return False
        self.shown += more.decode(errors="replace")
        return bool(more)


def demo() -> str:
    """The summary at the end of ``make demo``."""
    with tempfile.TemporaryDirectory() as folder:
        terminal = Terminal(sys.executable, "-m", "examples.scraper", cwd=Path(folder))
        terminal.wait_for("What to try next")
        terminal.end()
        subprocess.run([*POSTMILL, "db", "stop", "-y"], cwd=folder, capture_output=True, check=False)
    shown = terminal.shown.rpartition("\npages ")[2].partition("What to try next")[0]
    return f"$ make demo\n\npages {shown}"


def dev() -> str:
    """``postmill dev`` in a new project, while messages are sent."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "shop"
        subprocess.run([*POSTMILL, "init", str(project)], check=True, capture_output=True)
        subprocess.run([*POSTMILL, "functions", "new", "hello"], cwd=project, check=True, capture_output=True)
        terminal = Terminal(*POSTMILL, "dev", cwd=project)
        terminal.wait_for("worker.started")
        for payload in ('{"name": "world"}', '{"nobody": "here"}'):
            subprocess.run(
                [*POSTMILL, "send", "hello", payload], cwd=project, check=True, capture_output=True
            )
        terminal.wait_for("hello, world")
        terminal.wait_for("in_s=")
        shown = terminal.shown
        terminal.end()
    return "$ postmill dev\n" + shown.replace(folder, "~").replace(os.path.realpath(folder), "~")


def draw(name: str, shown: str) -> None:
    """Write the picture ``name``."""
    plain = re.sub(r"\x1b\[(?![\d;]*m)[\d;?]*[A-Za-z]", "", shown.replace("\r\n", "\n"))
    console = Console(record=True, width=WIDTH, file=Path(os.devnull).open("w"))  # noqa: SIM115 - short-lived
    console.print(Text.from_ansi(plain.rstrip()))
    picture = console.export_svg(title=name)
    FOLDER.mkdir(exist_ok=True)
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.S)  # a reader's own fonts will do
    (FOLDER / f"{name}.svg").write_text(picture.replace("Fira Code", "ui-monospace"), encoding="utf-8")


if __name__ == "__main__":
    draw("dev", dev())
    draw("demo", demo())
