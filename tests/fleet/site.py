"""A site: servers, workers and a sender on machines of their own, and the account of their work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import orjson

from tests.fleet import handlers
from tests.fleet.account import Account, Call, Notes, account
from tests.fleet.handlers import note
from tests.fleet.lab import eventually
from tests.fleet.postgres import Prepared, Reachable, Server, url_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.fleet.lab import Lab, Machine, Process

COMMAND = (sys.executable, "-m", "postmill.cli.main", "worker")
_LEFT = """
select count(*) + (select count(*) from postmill.claims) as left from pgmq.q_tasks
"""


class Site:
    """One test's machines. All that they note is in ``folder``."""

    def __init__(self, lab: Lab, prepared: Prepared, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.journal = folder / "journal"
        self._notes = folder / "notes"
        self._prepared = prepared
        self.servers: list[Reachable] = []
        folder.chmod(0o711)

    def server(self, name: str) -> Server:
        """One more server, on a machine of its own; not started."""
        made = Server(self._prepared, self.lab.machine(name), self.folder / name)
        self.servers.append(made)
        return made

    @property
    def url(self) -> str:
        """The address that this site's workers and senders are given."""
        return url_of(self.servers)

    def run_worker(
        self,
        machine: Machine,
        *options: str,
        lease_s: float = 10,
        slots: int = 4,
        variables: Mapping[str, str] | None = None,
    ) -> Process:
        """Start a worker on a machine. ``variables``: for it alone."""
        return machine.start(
            *COMMAND,
            "run",
            "tests.fleet.handlers:work",
            *options,
            log="worker",
            environment={
                "POSTMILL_DB_URL": self.url,
                handlers.JOURNAL: str(self.journal),
                handlers.LEASE_S: str(lease_s),
                handlers.SLOTS: str(slots),
                **(variables or {}),
            },
        )

    def run_sender(self, machine: Machine, first: int = 1_000_000, pause_s: float = 0.01) -> Process:
        """Start an application that sends, from the message ``first`` on."""
        return machine.start(
            sys.executable,
            "-m",
            "tests.fleet.sender",
            self.url,
            str(self._notes),
            str(first),
            str(pause_s),
            log="sender",
        )

    def restart_worker(self, machine: Machine) -> Process:
        """Switch a machine off and on, and start a worker on it."""
        machine.power_off()
        machine.power_on()
        return self.run_worker(machine)

    def drain(self, server: Reachable, machine: Machine) -> None:
        """Ask the workers of a machine to end, as an operator does."""
        command = [sys.executable, "-m", "postmill.cli.main", "worker", "drain", "--host", machine.name]
        subprocess.run(
            command, env={**os.environ, "POSTMILL_DB_URL": server.url}, check=True, capture_output=True
        )

    def send(
        self,
        server: Reachable,
        numbers: range,
        payload: Mapping[str, object] | None = None,
        delay_s: int = 0,
    ) -> None:
        """Send messages from the test itself, in one transaction."""
        bodies = [orjson.dumps({"id": number, **(payload or {})}).decode() for number in numbers]
        with server.session() as db:
            db.execute(
                b"select from pgmq.send_batch('tasks', $1::text[]::jsonb[], $2::integer)", [bodies, delay_s]
            )
        for number in numbers:
            note(self._notes, f"sent {number}")

    @property
    def notes(self) -> Notes:
        """What the senders know."""
        return Notes.read(self._notes)

    @property
    def calls(self) -> list[Call]:
        """What the workers have noted."""
        return Call.read(self.journal)

    def done(self) -> Counter[int]:
        """How often each message's handler came to its end."""
        return Counter(call.number for call in self.calls if call.word == "done")

    def began_on(self, host: str) -> set[int]:
        """The messages whose handlers began on a machine."""
        return {call.number for call in self.calls if call.host == host and call.word == "began"}

    def failures(self, server: Reachable) -> dict[str, int]:
        """The failures that are recorded, by kind."""
        with server.session() as db:
            found = db.execute(
                b"select kind, count(*) as times from postmill.failures group by kind"
            ).fetchall()
        return {row["kind"]: row["times"] for row in found}

    def print_logs(self) -> None:
        """Show the end of what each program has said: pytest keeps it for a test that fails."""
        for log in sorted(self.folder.glob("*.log")):
            print(f"--- {log.stem}\n{log.read_text(errors='replace')[-3000:]}")

    def finish(self, server: Reachable) -> None:
        """Wait until nothing is left to do."""
        eventually(lambda: server.ask(_LEFT) == 0)

    def account(self, server: Reachable) -> Account:
        """What has become of every message."""
        return account(server, self.notes, self.calls)
