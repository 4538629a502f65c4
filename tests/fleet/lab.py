"""Machines for tests, made of Linux namespaces: each has its own network, host name and processes.

They are plugged into one switch, a bridge in a namespace of its own, so that no interface is made on the real
machine and nothing that is sent here leaves them. A machine lives as long as its first process, which waits
for its standard input to end: however a test ends, its machines end with it, and all that runs on them.

Files and the clock are those of the real machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from postmill.embedded.account import Account

PROGRAMS = ("ip", "unshare", "nsenter")
_NAMESPACES = ("--net", "--uts", "--ipc", "--pid")
_NOBODY_HAS = "02:00:00:00:00:99"
"""A hardware address that no machine has: what is sent there is lost in silence."""
WITHIN_S = 120.0
"""How long a test waits for what must happen; none measures anything by it."""


def missing() -> str:
    """Why no machines can be made here; empty where they can."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"{' and '.join(absent)} (Debian: iproute2, util-linux) not installed"
    try:
        with Lab() as lab:
            lab.machine("probe")
    except (subprocess.SubprocessError, OSError) as error:
        return f"no machine can be made of namespaces here: {_said(error)}"
    return ""


def _said(error: Exception) -> str:
    said = getattr(error, "stderr", None) or error
    return (said.decode() if isinstance(said, bytes) else str(said)).strip()


def eventually(condition: Callable[[], Any], within_s: float = WITHIN_S) -> Any:
    """Ask until the answer is true, and return it."""
    end = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {within_s:.0f} s"
        time.sleep(0.05)
    return found


class Namespaces:
    """One set of namespaces, held by a process that does nothing."""

    def __init__(self, name: str, at_the_end: str = "exit") -> None:
        # The shell stays: as the first process it has to reap the orphans of all others.
        script = f'hostname "$0" && ip link set lo up && echo up && cat > /dev/null; {at_the_end}'
        command = ["unshare", *_NAMESPACES, "--mount-proc", "--fork", "--kill-child", "sh", "-c", script]
        self._holder = subprocess.Popen(
            [*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"up\n":
            _, said = self._holder.communicate()
            raise subprocess.CalledProcessError(self._holder.returncode, command, stderr=said.decode())
        self.init = _children(self._holder.pid)[0]

    def within(self, *namespaces: str) -> list[str]:
        """The beginning of a command that shall run there."""
        return ["nsenter", f"--target={self.init}", *namespaces]

    def network(self, *commands: str) -> None:
        """Run commands of ``ip`` there."""
        subprocess.run(
            [*self.within("--net"), "ip", "-batch", "-"],
            input="\n".join(commands).encode(),
            check=True,
            capture_output=True,
        )

    def end(self) -> None:
        """Kill the first process: the kernel ends all others, and the network goes."""
        self._holder.kill()
        self._holder.communicate()


class Process:
    """A process on a machine. It says all that it has to say to a file."""

    def __init__(self, command: list[str], log: Path, **options: Any) -> None:
        self._log = log
        with log.open("ab") as file:
            self._entered = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, **options
            )

    @property
    def said(self) -> str:
        """What it and its predecessors of that name have said."""
        return self._log.read_text(errors="replace")

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._entered.poll() is None

    @property
    def parent_pid(self) -> int:
        """The process id of ``nsenter``, its parent, which has the same variables."""
        return self._entered.pid

    def send(self, number: int) -> None:
        """Send it a signal: ``nsenter``, its parent, passes none on."""
        children = eventually(lambda: not self.alive or _children(self._entered.pid))
        if children is not True:
            os.kill(children[0], number)

    def wait(self, within_s: float = WITHIN_S) -> int:
        """Wait for its end; returns its exit code, below 0 for a signal."""
        return self._entered.wait(within_s)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end, and wait until it has."""
        self.send(number)
        return self.wait()


def _children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:  # noqa: PTH123 - no file
            return [int(each) for each in file.read().split()]
    except OSError:
        return []


class Machine:
    """One machine: on, off, unplugged, or unable to reach another one."""

    def __init__(self, switch: Namespaces, name: str, number: int, folder: Path) -> None:
        self.name = name
        self.address = f"10.77.0.{number}"
        self._hardware = f"02:00:00:00:01:{number:02x}"  # the same after each restart, as a card's
        self._switch = switch
        self._port = f"port{number}"
        self._folder = folder
        self._here: Namespaces | None = None
        self._processes: list[Process] = []

    def power_on(self) -> None:
        """Let it run, with nothing on it, and plug it in."""
        self._here = Namespaces(self.name)
        peer = f"peer name eth0 address {self._hardware} netns {self._here.init}"
        self._switch.network(
            f"link add {self._port} type veth {peer}", f"link set {self._port} master switch up"
        )
        self._here.network(f"addr add {self.address}/24 dev eth0", "link set eth0 up")

    def power_off(self) -> None:
        """End it from one moment to the next: nobody is told, no connection is closed."""
        if self._here is not None:
            self._switch.network(f"link delete {self._port}")
            self._here.end()
            self._here = None
            for process in self._processes:
                process.wait()
            self._processes.clear()

    def unplug(self) -> None:
        """Take its cable out. What runs on it runs on."""
        self._switch.network(f"link set {self._port} down")

    def plug_in(self) -> None:
        """Put the cable back."""
        self._switch.network(f"link set {self._port} up")

    def cut(self, *others: Machine) -> None:
        """Let nothing that it sends arrive at ``others``; it still gets what they send."""
        self._on.network(*(f"neigh replace {each.address} lladdr {_NOBODY_HAS} dev eth0" for each in others))

    def heal(self, *others: Machine) -> None:
        """Let what it sends arrive again."""
        self._on.network(*(f"neigh del {each.address} dev eth0" for each in others))

    def start(
        self,
        *command: str,
        log: str,
        account: Account | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Process:
        """Start a program on it. ``log``: the name of the file it writes to."""
        user = [f"--setuid={account.uid}", f"--setgid={account.gid}"] if account else []
        entering = self._on.within(*_NAMESPACES, "--mount", f"--wd={Path.cwd()}", *user)
        process = Process(
            [*entering, *command],
            self._folder / f"{self.name}-{log}.log",
            env={**os.environ, **(environment or {})},
        )
        self._processes.append(process)
        return process

    def succeeds(self, *command: str) -> bool:
        """Whether a short command succeeds in the machine's network."""
        done = subprocess.run([*self._on.within("--net"), *command], capture_output=True, check=False)
        return done.returncode == 0

    @property
    def _on(self) -> Namespaces:
        assert self._here is not None, f"{self.name} is off"
        return self._here


class Lab:
    """A switch, and the machines that are plugged into it. ``folder`` is where they keep what they say."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        # Where the test itself removes nothing any more, because it was killed.
        self._switch = Namespaces("switch", f"sleep 2; rm -rf '{folder}'" if folder else "exit")
        self._machines: list[Machine] = []

    def __enter__(self) -> Lab:
        try:
            self._switch.network("link add switch type bridge", "link set switch up")
        except BaseException:
            self._switch.end()
            raise
        return self

    def machine(self, name: str) -> Machine:
        """One more machine, which is on."""
        made = Machine(self._switch, name, len(self._machines) + 1, self._folder or Path())
        self._machines.append(made)
        made.power_on()
        return made

    def __exit__(self, *_: object) -> None:
        for machine in self._machines:
            machine.power_off()
        self._switch.end()
