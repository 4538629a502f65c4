"""The demo of fairness, small: the quiet tenant overtakes the noisy one, which keeps to its limit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from examples.tenants import watch
from examples.tenants.tenants import AT_ONCE, Tenant

if TYPE_CHECKING:
    from typing import Any

    import psycopg

ROOT = Path(__file__).parents[2]
NOISY, QUIET = 60, 2


def run(folder: Path, database_url: str, *arguments: str) -> str:
    """What the demo prints."""
    command = [sys.executable, "-m", "examples.tenants", "--noisy", str(NOISY), "--quiet", str(QUIET)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "POSTMILL_DB_URL": database_url, "NO_COLOR": "1"}
    done = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def noisy_before_first_of_quiet(db: psycopg.Connection[dict[str, Any]]) -> int:
    row = db.execute(
        "select count(*) from tenants.rendered where tenant = 'noisy' and done_at <"
        " (select min(done_at) from tenants.rendered where tenant = 'quiet')"
    ).fetchone()
    assert row is not None
    return int(row["count"])


def test_the_quiet_tenant_overtakes_the_noisy_one(
    tmp_path: Path, database_url: str, db: psycopg.Connection[dict[str, Any]]
) -> None:
    """Its first page was sent behind all of the noisy tenant's. In one line it would come after them."""
    record_most_at_once(db)
    output = run(tmp_path, database_url)
    assert noisy_before_first_of_quiet(db) < NOISY
    assert "quiet" in output.splitlines()[-2]
    found = db.execute("select most from tenants.most where tenant = 'noisy'").fetchone()
    assert found == {"most": AT_ONCE}, "the limit is used, and never exceeded"


def test_in_one_line_the_quiet_tenant_waits_for_all_that_was_sent_before(
    tmp_path: Path, database_url: str, db: psycopg.Connection[dict[str, Any]]
) -> None:
    """What the groups are for: the same without them. Five of the six places may end a moment later."""
    run(tmp_path, database_url, "--one-line")
    assert noisy_before_first_of_quiet(db) >= NOISY - 5


def record_most_at_once(db: psycopg.Connection[dict[str, Any]]) -> None:
    """Note the most messages of a tenant that held a place at any commit of a claim."""
    db.execute("create schema tenants")
    db.execute("create table tenants.most (tenant text primary key, most bigint)")
    db.execute(
        "create function tenants.note() returns trigger language plpgsql as $$ begin"
        " insert into tenants.most select group_key, count(*) from postmill.gates"
        " where claim_id is not null group by 1"
        " on conflict (tenant) do update set most = greatest(most.most, excluded.most); return null; end $$"
    )
    db.execute(
        "create trigger note after update on postmill.gates"
        " for each statement execute function tenants.note()"
    )


@pytest.mark.parametrize(
    ("tenant", "told"),
    [
        (
            Tenant("quiet", 0, 1, 4, 12.0, 20.0),
            "quiet: 0 waiting, 1 running, 4 done, waited 0.012 s, at most 0.020 s",
        ),
        (
            Tenant("noisy", 9, 3, 0, None, None),
            "noisy: 9 waiting, 3 running, 0 done, waited -, at most -",
        ),
    ],
)
def test_a_tenant_is_told_in_a_line(tenant: Tenant, told: str) -> None:
    assert watch.line(tenant) == told
