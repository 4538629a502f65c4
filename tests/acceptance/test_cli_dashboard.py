"""The dashboard as `postmill dashboard`, `serve` and `dev` serve it."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.serving import Serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Cli

FUNCTION = """
from starlette.responses import PlainTextResponse


async def handler(request):
    return PlainTextResponse(request.headers.get("cookie", "none"))
"""


@pytest.fixture
def project(tmp_path: Path, database_url: str) -> Path:
    """A project with one function, which says which cookies it was sent."""
    (tmp_path / "functions" / "cookies").mkdir(parents=True)
    (tmp_path / "functions" / "cookies" / "main.py").write_text(FUNCTION)
    (tmp_path / "postmill.toml").write_text(
        f"[db]\nurl = {database_url!r}\n[dashboard]\nport = 0\n[functions.cookies]\nverify_jwt = false\n"
    )
    return tmp_path


def found_in(line: str) -> str:
    """The address in a line."""
    address = re.search(r"http://[^\s)]+", line)
    assert address is not None
    return address[0]


def test_the_link_that_is_printed_signs_in_once(project: Path) -> None:
    with Serving(project, "dashboard", environment={"POSTMILL_DASHBOARD": "on"}, listening=False) as process:
        link = found_in(process.said("Dashboard: "))
        with httpx.Client(follow_redirects=True) as person:
            assert "Overview" in person.get(link).text
        with httpx.Client(follow_redirects=True) as other:
            assert other.get(link).status_code == 403
        assert process.stop() == 0


def test_serve_has_it_on_a_port_of_its_own_and_functions_do_not_see_its_cookies(project: Path) -> None:
    environment = {"POSTMILL_DASHBOARD": "on", "POSTMILL_READER_KEY": "a-readers-key"}
    with Serving(project, "serve", "--port", "0", environment=environment) as process:
        base = found_in(process.said("dashboard at ")).rstrip("/")
        assert base != process.url
        with httpx.Client() as person:
            given = {"key": process.keys.secret, "next": "/"}
            signed = person.post(f"{base}/sign-in", data=given, headers={"origin": base})
            assert signed.status_code == 303
            (name,) = person.cookies
            assert person.get(f"{base}/").status_code == 200
            cookies = {"cookie": f"theirs=1; {name}={person.cookies[name]}; also=2"}
            assert httpx.get(f"{process.functions}/cookies", headers=cookies).text == "theirs=1; also=2"
        look = {"authorization": "Bearer a-readers-key"}
        assert httpx.get(f"{base}/api/v1/queues", headers=look).status_code == 200
        assert httpx.post(f"{base}/api/v1/queues", headers=look, json={"queue": "x"}).status_code == 403
        with httpx.stream("GET", f"{base}/live?topic=queues", headers=look, timeout=20) as stream:
            lines = stream.iter_lines()
            assert next(line for line in lines if line.startswith("data:"))
            process.process.send_signal(signal.SIGTERM)
            assert process.process.wait(30) == 0
            list(lines)


def test_dev_prints_a_link_that_signs_in(project: Path) -> None:
    with Serving(project, "dev", environment={"POSTMILL_DASHBOARD": "on"}, listening=False) as process:
        link = found_in(process.said("Dashboard: "))
        with httpx.Client(follow_redirects=True) as person:
            assert "Overview" in person.get(link).text
        assert process.stop() == 0


def test_a_key_that_was_made_opens_it_until_it_is_revoked(project: Path, cli_without_database: Cli) -> None:
    with Serving(project, "dashboard", environment={"POSTMILL_DASHBOARD": "on"}, listening=False) as process:
        base = found_in(process.said("Dashboard: ")).partition("/sign-in")[0]
        made = cli_without_database("--project", str(project), "keys", "create", "ada")
        look = {"authorization": f"Bearer {made.out.strip()}"}
        assert httpx.get(f"{base}/api/v1/queues", headers=look).status_code == 200
        key_id = re.search(r"Its id is (\w+)", made.err)
        assert key_id is not None
        revoked = cli_without_database("--project", str(project), "keys", "revoke", key_id[1])
        assert f"Revoked: {key_id[1]}" in revoked.err
        assert httpx.get(f"{base}/api/v1/queues", headers=look).status_code == 401
