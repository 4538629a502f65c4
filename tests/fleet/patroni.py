"""A cluster of Postgres that Patroni looks after: two servers that replicate synchronously, and etcd on a
machine of its own, in which stands which one leads.

The programs are Debian's, and nothing in them is replaced: the test pulls cables, switches machines off, and
asks for a switch-over with ``patronictl``.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import psycopg

from postmill.db.tools.migrate import migrate
from postmill.embedded import account as accounts
from postmill.embedded import address
from tests.fleet.lab import eventually
from tests.fleet.postgres import SETTINGS, Reachable
from tests.servers import DEBIAN, session

if TYPE_CHECKING:
    from tests.fleet.lab import Lab, Machine, Process

MAJOR = 15
"""What Debian 12 has beside its Patroni: both are of one age."""
FOR_EVERY_NODE = {
    "ttl": 10,
    "loop_wait": 1,
    "retry_timeout": 4,
    "synchronous_mode": True,
    "master_start_timeout": 0,
    "maximum_lag_on_failover": 1_000_000_000,
    "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": {"wal_log_hints": "on"}},
}
"""A leader that is silent for ten seconds is replaced: the least that leaves room for a busy machine."""
_LEADS_ANOTHER = """
not pg_is_in_recovery()
 and exists (select from pg_stat_replication where sync_state = 'sync' and state = 'streaming')
"""


def missing() -> str:
    """Why no Patroni can be run here; empty where one can."""
    absent = [
        program for program in ("patroni", "patronictl", "etcd", "curl") if shutil.which(program) is None
    ]
    if not Path(DEBIAN.format(MAJOR), "postgres").exists():
        absent.append(f"postgresql-{MAJOR}")
    return f"{', '.join(absent)} not installed: `make test-deps` brings it" if absent else ""


class Node(Reachable):
    """One server of the cluster, and the Patroni that starts and stops it."""

    def __init__(self, machine: Machine, folder: Path, store: Machine) -> None:
        folder.mkdir(mode=0o700)
        self._account = accounts.server_account(folder / "cluster", folder)
        accounts.give(folder, self._account)
        super().__init__(machine, folder / "sockets", self._account)
        self._folder = folder
        self.configuration = folder / "patroni.json"
        self.configuration.write_bytes(orjson.dumps(self._configuration(store)))

    def start(self) -> None:
        """Start Patroni; what the server becomes is Patroni's to say."""
        self.machine.start("patroni", str(self.configuration), log="patroni", account=self._account)

    @property
    def maintenance_url(self) -> str:
        """The address of the database that is there from the beginning."""
        return self.url.replace(f"/{address.DATABASE}?", "/postgres?")

    def says(self, query: str) -> Any:
        """What the server answers, None while there is none that answers."""
        try:
            with session(self.maintenance_url) as db:
                row = db.execute(f"select ({query}) as said".encode()).fetchone()
            return row and row["said"]
        except psycopg.Error:
            return None

    def _configuration(self, store: Machine) -> dict[str, Any]:
        here = self.machine.address
        parameters = {**SETTINGS, "unix_socket_directories": str(self._sockets)}
        del parameters["listen_addresses"]
        return {
            "scope": "lab",
            "name": self.machine.name,
            "restapi": {"listen": f"{here}:8008", "connect_address": f"{here}:8008"},
            "etcd3": {"host": f"{store.address}:2379"},
            "bootstrap": {"dcs": FOR_EVERY_NODE, "initdb": [{"encoding": "UTF8"}, {"locale": "C"}]},
            "postgresql": {
                "listen": f"*:{address.PORT}",
                "connect_address": f"{here}:{address.PORT}",
                "data_dir": str(self._folder / "cluster"),
                "bin_dir": DEBIAN.format(MAJOR),
                "pgpass": str(self._folder / "pgpass"),
                "use_unix_socket": True,
                "authentication": {
                    "superuser": {"username": address.USER},
                    "replication": {"username": address.USER},
                    "rewind": {"username": address.USER},
                },
                "parameters": parameters,
                "pg_hba": [
                    "local all all trust",
                    *(
                        f"host {what} all {network} trust"
                        for what in ("all", "replication")
                        for network in ("10.77.0.0/24", "127.0.0.1/32")
                    ),
                ],
            },
        }


class Cluster:
    """Two nodes and their store."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._store = lab.machine("store")
        self._folder = folder
        self._etcd = self._start_etcd()
        self.nodes = [Node(lab.machine(name), folder / name, self._store) for name in ("db1", "db2")]

    def start(self) -> Node:
        """Start both; returns the one that leads, with the schema and the queue ``tasks``."""
        for node in self.nodes:
            node.start()
        leader = self.led()
        with session(leader.maintenance_url) as db:
            db.execute(f"create database {address.DATABASE}".encode())
        with leader.session() as db:
            migrate(db)
            db.execute(b"select postmill.create_queue('tasks')")
        return leader

    def led(self, by: Node | None = None) -> Node:
        """Wait until one leads (``by`` it), and Patroni counts the other one as its synchronous standby."""

        def leads() -> Node | None:
            found = [node for node in self.nodes if node.says(_LEADS_ANOTHER)]
            whole = len(found) == 1 and by in {None, found[0]} and self._may_follow(self.other(found[0]))
            return found[0] if whole else None

        found: Node = eventually(leads)
        return found

    def lead_passes_to(self, node: Node) -> None:
        """Wait until this one takes writes."""
        eventually(lambda: node.says("not pg_is_in_recovery()"))

    def _may_follow(self, node: Node) -> bool:
        return self._store.succeeds("curl", "-fs", f"http://{node.machine.address}:8008/synchronous")

    def other(self, node: Node) -> Node:
        """The node beside this one."""
        (found,) = (each for each in self.nodes if each is not node)
        return found

    def switch_over(self, leader: Node) -> None:
        """Ask for the other one to lead."""
        eventually(lambda: self._asked(leader))

    def _asked(self, leader: Node) -> bool:
        command = ["patronictl", "-c", str(leader.configuration), "switchover", "--force"]
        command += ["--master", leader.machine.name, "--candidate", self.other(leader).machine.name, "lab"]
        return self._store.start(*command, log="patronictl").wait() == 0

    def _start_etcd(self) -> Process:
        client = f"http://{self._store.address}:2379"
        return self._store.start(
            "etcd",
            *("--data-dir", str(self._folder / "etcd")),
            *("--listen-client-urls", client),
            *("--advertise-client-urls", client),
            *("--log-level", "warn"),
            log="etcd",
        )
