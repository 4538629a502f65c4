"""`postmill top`, on a terminal and off it."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import termios
from typing import TYPE_CHECKING, Any

import pytest

from tests.sql.waiting import hold, park

if TYPE_CHECKING:
    from tests.acceptance.conftest import Cli


@pytest.fixture
def busy(cli: Cli, db: Any) -> None:
    """A queue with something of each kind to show."""
    cli("send", "emails", "1", "--create")
    cli("send", "emails", "2", "--delay", "60")
    db.execute(
        "insert into postmill.workers (queue_name, function_name, hostname, pid, version, max_concurrent, "
        "last_heartbeat_at) values ('emails', 'deliver', 'box', 42, '0', 10, now() + interval '1 hour')"
    )
    db.execute(
        "insert into postmill.failures (queue_name, msg_id, attempt, kind, error_type, error_message) "
        "values ('emails', 7, 2, 'error', 'SMTPError', 'mailbox [bold]full')"
    )


def test_json_is_one_frame_with_rates(cli: Cli, busy: None) -> None:
    frame = cli("top", "--json", "--interval", "0.1").json
    (queue,) = frame["queues"]
    assert (queue["queue"], queue["ready"], queue["scheduled"], queue["workers"]) == ("emails", 1, 1, 1)
    assert queue["left_s"] is not None
    assert queue["oldest_ready_s"] > 0
    assert [(row["worker"], row["pid"]) for row in frame["workers"]] == [("deliver", 42)]
    assert [(row["msg_id"], row["attempt"], row["error_type"]) for row in frame["failures"]] == [
        (7, 2, "SMTPError")
    ]


def test_once_off_a_terminal_is_plain_text(cli: Cli, busy: None) -> None:
    answer = cli("top", "--once", "--interval", "0.1")
    assert (answer.code, answer.err) == (0, "")
    queues, workers, failures = answer.out.strip().split("\n\n")
    assert queues.splitlines()[1].split("\t")[:2] == ["emails", "1"]
    assert workers.splitlines()[1].startswith("deliver\temails\tactive")
    assert failures.splitlines()[1].endswith("SMTPError: mailbox [bold]full")


def test_groups_at_their_limits_are_shown_and_only_then(cli: Cli, busy: None, db: Any) -> None:
    db.execute("select postmill.limit_groups('emails', max_running => 1)")
    hold(db, "emails")
    park(db, "emails")
    answer = cli("top", "--once", "--interval", "0.1").out.strip().split("\n\n")
    assert answer[1].splitlines() == [
        "queue\tgroup\theld_up_by",
        "emails\tacme\tgroup acme is at its limit of 1, held by 3",
    ]
    (queue,) = cli("top", "--json", "--interval", "0.1").json["queues"]
    assert (queue["waiting"], queue["oldest_waiting_s"] >= 0) == (1, True)


def test_off_a_terminal_frames_follow_until_ctrl_c(spawn: Any, busy: None) -> None:
    child = spawn("top", "--interval", "0.1")
    headings = 0
    while headings < 2:
        headings += child.stdout.readline().startswith("queues\t")
    child.send_signal(signal.SIGINT)
    assert child.wait() == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_on_a_terminal_it_is_a_screen_that_is_put_back(
    spawn: Any, busy: None, number: int, code: int
) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    child = spawn(
        "top", "--interval", "0.1", stdin=theirs, stdout=theirs, stderr=theirs, env={"TERM": "xterm-256color"}
    )
    os.close(theirs)
    shown = read_until(ours, b"mailbox [bold]full")
    assert b"\x1b[?1049h" in shown
    assert b"deliver" in shown
    child.send_signal(number)
    assert b"\x1b[?1049l" in read_until(ours, b"\x1b[?1049l")
    assert child.wait() == code
    os.close(ours)


def read_until(terminal: int, text: bytes) -> bytes:
    """What the terminal shows, up to ``text``; fails when the program ends first."""
    shown = b""
    while text not in shown:
        try:
            more = os.read(terminal, 4096)
        except OSError:  # Linux: the other end is closed
            more = b""
        assert more, shown.decode(errors="replace")
        shown += more
    return shown


def test_without_queues_there_are_only_headings(cli: Cli) -> None:
    answer = cli("top", "--once", "--interval", "0.1")
    assert [line.split("\t")[0] for line in answer.out.split("\n") if line] == [
        "queues",
        "worker",
        "failed_at",
    ]
