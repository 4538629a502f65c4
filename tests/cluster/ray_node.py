"""A Ray cluster of one node: in a session of its own, on the loopback address alone, with a token."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.cluster.ray_guard import GIVE_UP_S, Guard, kill, processes

if TYPE_CHECKING:
    from collections.abc import Collection

HOST = "127.0.0.1"
MACHINE = f"""
import sys
from ray._private.node import Node
from ray._private.parameter import RayParams
address, resource, port = sys.argv[1:]
Node(
    RayParams(
        gcs_address=address,
        node_ip_address="{HOST}",
        num_cpus=0,
        resources={{resource: 2}},
        object_store_memory=80_000_000,
        dashboard_agent_listen_port=int(port),
    ),
    head=False,
    shutdown_at_exit=False,
    spawn_reaper=False,
)
"""
"""Starts one more machine, as `ray start --address` does, which refuses to where Ray keeps to the loopback
address: a cluster of machines has no other use.
"""


class RayNode:
    """``with RayNode() as node``: a head with two CPUs and a small store."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/dev/shm"))  # the names of sockets are short
        self.sessions: set[int] = set()
        """Those that it was started in: Ray's processes write over their own environment and command line."""
        self._guard = Guard(self.folder)
        self.port = free_port()
        self.environment = {
            "RAY_ADDRESS": f"{HOST}:{self.port}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # the loopback address, and no other
            "RAY_USAGE_STATS_ENABLED": "0",
        }

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it, or start it anew at the same address."""
        self._start(
            *(str(Path(sys.executable).with_name("ray")), "start", "--head"),
            *(f"--node-ip-address={HOST}", f"--port={self.port}", "--num-cpus=2"),
            *("--include-dashboard=false", "--disable-usage-stats", "--object-store-memory=80000000"),
            *(f"--dashboard-agent-listen-port={free_port()}", f"--temp-dir={self.folder}"),
        )

    def add_machine(self, resource: str) -> int:
        """One more machine of the cluster, the only one with this resource; returns the session in which its
        processes are.
        """
        port = str(free_port())
        return self._start(sys.executable, "-c", MACHINE, self.environment["RAY_ADDRESS"], resource, port)

    def _start(self, *command: str) -> int:
        with (self.folder / "start.log").open("w") as log:
            starting = subprocess.Popen(
                command,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.sessions.add(starting.pid)
        self._guard.watch(starting.pid)
        assert starting.wait(GIVE_UP_S) == 0, (self.folder / "start.log").read_text()
        return starting.pid

    def processes(self, sessions: Collection[int] = ()) -> dict[int, str]:
        """What runs of it, or in these of its sessions: command lines by process id. Only its own processes
        are there.
        """
        return processes(sessions or self.sessions)

    def addresses(self) -> set[str]:
        """Where its processes listen."""
        listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
        found = set()
        for line in listening.splitlines():
            if any(f"pid={pid}," in line for pid in self.processes()):
                found.add(line.split()[3].rpartition(":")[0].strip("[]").removeprefix("::ffff:"))
        return found

    def kill(self, *names: str) -> None:
        """Kill its processes whose command line has one of ``names``; all of them without names."""
        found = self.processes().items()
        kill(pid for pid, command in found if not names or any(name in command for name in names))

    def kill_machine(self, session: int) -> None:
        """Kill all that runs on a machine that was added."""
        kill(self.processes({session}))

    def close(self) -> None:
        """End all of it."""
        self._guard.close()


def free_port() -> int:
    """A port of the loopback address that nothing listens on."""
    with socket.create_server((HOST, 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
