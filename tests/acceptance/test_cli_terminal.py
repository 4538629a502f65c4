"""What people see on a terminal of 80 columns: colours that are colours, headings that are words."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Cli

STYLE = re.compile(r"\x1b\[[\d;]*m")


def shown(spawn: Any, *arguments: str, **environment: str) -> str:
    """What a command writes to a terminal of 80 columns."""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    spawn(*arguments, stdout=end, env={"TERM": "xterm", "COLUMNS": "80", **environment})
    os.close(end)
    text = b""
    while piece := _read(terminal):
        text += piece
    os.close(terminal)
    return text.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the last writer has gone
        return b""


@pytest.mark.usefixtures("cli")
def test_doctor_has_colours_where_they_are_wanted(spawn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found was made safe to show together with our own colours, so that `\\x1b[32mpass` could be
    read on every terminal.
    """
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = shown(spawn, "doctor")
    assert "\x1b[32mpass\x1b[0m  version" in coloured
    assert "\\x1b" not in coloured
    plain = shown(spawn, "doctor", NO_COLOR="1")
    assert "\npass  version" in plain
    assert "\x1b" not in plain


@pytest.mark.parametrize(
    ("command", "headings"),
    [
        (("queue", "list"), "queue ready running retrying scheduled dead oldest workers"),
        (("worker", "list"), "id worker queue state running max host pid beat started"),
        (("dead", "list"), "letter queue message attempts kind reason died"),
        (("message", "list", "tasks"), "message state attempts enqueued payload"),
    ],
)
def test_no_heading_is_cut_in_the_middle_of_a_word(
    command: tuple[str, ...], headings: str, cli: Cli, spawn: Any, db: Any
) -> None:
    """Nine columns did not fit: `retryin` stood above `g`, and `schedul` above `ed`."""
    cli("send", "tasks", "1", "--create")
    db.execute(
        "insert into postmill.workers (queue_name, function_name, hostname, pid, version, max_concurrent, "
        "last_heartbeat_at) values ('tasks', 'deliver', 'machine', 1234567, '0.1.0', 10, "
        "now() + interval '1 hour')"
    )
    db.execute(
        "insert into postmill.dead_letters (queue_name, msg_id, read_ct, enqueued_at, attempts, kind, reason)"
        " values ('tasks', 1, 1, now(), 1, 'error', 'failed 6 of 6 attempts: KeyError')"
    )
    heading, *rows = STYLE.sub("", shown(spawn, *command)).splitlines()
    assert [word for word in headings.split() if word not in heading.split()] == []
    assert max(map(len, (heading, *rows))) <= 80
