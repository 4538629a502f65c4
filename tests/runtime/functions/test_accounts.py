"""Isolates that run as another account than their host."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest

from postmill.host.launch.accounts import accounts_of
from postmill.host.launch.launching import launcher
from postmill.host.launch.spawn_launcher import SpawnLauncher
from postmill.model.errors import InvalidOption, Refused
from postmill.model.events import Event
from postmill.model.functions.failures import BootFailed, HandlerRaised, LimitReached
from postmill.model.functions.limits import Limits
from postmill.model.functions.settings import RuntimeSettings
from tests.runtime.functions.scene import hosting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from postmill.host.launch.launcher import Launcher

OTHER = pwd.getpwuid(65534) if 65534 in {each.pw_uid for each in pwd.getpwall()} else pwd.getpwall()[-1]
AS_OTHER = RuntimeSettings(user=OTHER.pw_name)
WHO = """
import ctypes, os
from pathlib import Path

IMPORTED_AS = os.getuid()

async def handler():
    status = dict(line.split(":\\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    ends_with_parent = ctypes.c_int()
    ctypes.CDLL(None).prctl(2, ctypes.byref(ends_with_parent), 0, 0, 0)
    try:
        os.setuid(0)
    except PermissionError:
        back = "refused"
    else:
        back = "possible"
    with open("/dev/stdout", "w") as out:
        print("printed", file=out)
    return {
        "imported_as": IMPORTED_AS,
        "uid": os.getresuid(),
        "gid": os.getresgid(),
        "groups": os.getgroups(),
        "home": os.environ["HOME"],
        "capabilities": {int(status[name], 16) for name in ("CapEff", "CapPrm")} == {0},
        "no_new_privileges": status["NoNewPrivs"],
        "back": back,
        "ends_with_parent": ends_with_parent.value,
    }
"""
READS = """
async def handler(request):
    return open(request.query_params["path"]).read()
"""
SPINS = """
async def handler():
    while True:
        pass
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change to another account")


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every account may read; pytest's own are private."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    for name, text in {"who": WHO, "reads": READS, "spins": SPINS}.items():
        (folder / f"{name}.py").write_text(text)
        (folder / f"{name}.py").chmod(0o644)
    yield folder
    shutil.rmtree(folder)


def spawning(*_: object) -> Launcher:
    """Without a zygote."""
    return SpawnLauncher()


@as_root
@pytest.mark.parametrize("make_launcher", [launcher, spawning])
async def test_an_isolate_has_no_right_but_those_of_its_account(
    public: Path, make_launcher: Callable[..., Launcher]
) -> None:
    """From before its code is imported, and for good."""
    async with hosting(public, runtime=AS_OTHER, make_launcher=make_launcher) as scene:
        seen = orjson.loads((await scene.call("who")).body)
        assert seen == {
            "imported_as": OTHER.pw_uid,
            "uid": [OTHER.pw_uid] * 3,
            "gid": [OTHER.pw_gid] * 3,
            "groups": os.getgrouplist(OTHER.pw_name, OTHER.pw_gid),
            "home": OTHER.pw_dir,
            "capabilities": True,
            "no_new_privileges": "1",
            "back": "refused",
            "ends_with_parent": 9 if make_launcher is launcher else 0,
        }
        await scene.until(Event.FUNCTION_LOG, "who")
        assert "printed" in [fields["line"] for fields in scene.events(Event.FUNCTION_LOG, "who")]


@as_root
async def test_what_the_host_alone_may_read_stays_its_own(public: Path) -> None:
    secret = public / "keys.json"
    secret.write_text("SECRET")
    secret.chmod(0o600)
    settings = {"reads": {"user": OTHER.pw_name}}
    async with hosting(public, settings=settings) as scene:
        with pytest.raises(HandlerRaised, match="raised an error"):
            await scene.call("reads", query=f"path={secret}".encode())
        (raised,) = scene.events(Event.FUNCTION_UNCAUGHT, "reads")
        assert "PermissionError" in raised["error"]
        mine = orjson.loads((await scene.call("who")).body)
        assert mine["uid"] == [0, 0, 0]


@as_root
async def test_another_account_is_no_way_around_a_limit(public: Path) -> None:
    runtime = RuntimeSettings(user=OTHER.pw_name, limits=Limits(cpu_hard_s=0.3))
    async with hosting(public, runtime=runtime) as scene:
        with pytest.raises(LimitReached):
            await scene.call("spins")


@as_root
async def test_a_folder_that_the_account_may_not_read_is_told(public: Path) -> None:
    public.chmod(0o700)  # noqa: ASYNC240
    async with hosting(public, runtime=AS_OTHER) as scene:
        with pytest.raises(BootFailed, match="could not be started"):
            await scene.call("who")
        (failed,) = scene.events(Event.FUNCTION_BOOT_FAILED, "who")
        assert "Permission denied" in failed["error"]


def test_only_root_may_have_them_run_as_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Refused, match="not root"):
        accounts_of([OTHER.pw_name])
    assert accounts_of(["", ""]) == {}


@pytest.mark.parametrize(("name", "said"), [("no-such-account", "no account"), ("root", "is root")])
def test_an_account_that_is_no_use_is_refused(name: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(InvalidOption, match=said):
        accounts_of([name])
