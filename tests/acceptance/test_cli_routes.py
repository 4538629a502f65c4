"""`postmill route`: what a changed route leaves where it was, and what is brought to its new home."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from postmill import Databases, Route, RoutedClient
from postmill.cli.exit_codes import Exit
from postmill.databases import moving
from postmill.model.databases.rendezvous import home
from postmill.sql import catalog
from tests import servers
from tests.several import count, named_databases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.embedded import Server
    from tests.acceptance.conftest import Cli

OLD, ALL = ("eu1", "eu2"), ("eu1", "eu2", "eu3")
KEYS = [f"tenant-{number}" for number in range(30)]
MOVED = [key for key in KEYS if home(key, ALL) == "eu3"]
EACH = 4
"""Messages of each key."""


@pytest.fixture
def urls(shared_server: Server, administrator: psycopg.Connection[Any]) -> Iterator[dict[str, str]]:
    with named_databases(administrator, shared_server, *ALL, queues=["mail"]) as made:
        yield made


def write(urls: dict[str, str], over: tuple[str, ...]) -> None:
    named = "\n".join(f'{name} = "{url}"' for name, url in urls.items())
    route = ", ".join(f'"{name}"' for name in over)
    Path("postmill.toml").write_text(f"[databases]\n{named}\n[routes]\nmail = {{ over = [{route}] }}\n")


@pytest.fixture
def project(urls: dict[str, str], cli_without_database: Cli) -> Cli:
    """A project whose route has got a third database, after messages were sent to two."""
    with RoutedClient(Databases.of(urls, {"mail": Route(OLD)})) as client:
        payloads = [{"key": key, "n": number} for number in range(EACH) for key in KEYS]
        client.send_many("mail", payloads, shard_key=lambda payload: payload["key"])
    write(urls, ALL)
    return cli_without_database


def messages(url: str) -> list[tuple[str, int]]:
    with servers.session(url) as db:
        rows = db.execute("select message from pgmq.q_mail order by msg_id").fetchall()
    return [(row["message"]["key"], row["message"]["n"]) for row in rows]


def account(urls: dict[str, str]) -> Counter[tuple[str, int]]:
    return Counter(each for url in urls.values() for each in messages(url))


EXACT = Counter((key, number) for key in KEYS for number in range(EACH))


def status(project: Cli) -> dict[str, tuple[int, int]]:
    rows = project("route", "status", "mail", "--json").json
    return {row["database"]: (row["messages"], row["elsewhere"]) for row in rows}


def doctors(project: Cli) -> dict[str, str]:
    """What is said of routes, by database."""
    found = [each for each in project("doctor", "--json").json if each["check"] == "routes"]
    return {each["found"].partition(":")[0]: each["status"] for each in found}


def test_what_lives_elsewhere_by_now_is_counted_and_moved(project: Cli, urls: dict[str, str]) -> None:
    before = status(project)
    assert doctors(project) == {"eu1": "warn", "eu2": "warn", "eu3": "pass"}
    assert sum(elsewhere for _, elsewhere in before.values()) == len(MOVED) * EACH
    assert before["eu3"] == (0, 0)
    assert project("route", "move", "mail", "--dry-run").code == Exit.OK
    assert status(project) == before
    answer = project("route", "move", "mail", "--json")
    assert (answer.code, sum(row["moved"] for row in answer.json)) == (Exit.OK, len(MOVED) * EACH)
    assert account(urls) == EXACT
    assert {key for key, _ in messages(urls["eu3"])} == set(MOVED)
    assert {elsewhere for _, elsewhere in status(project).values()} == {0}
    assert set(doctors(project).values()) == {"pass"}
    assert [count(url, table) for url in urls.values() for table in BOOKS] == [0] * 6


BOOKS = ("postmill.departures", "postmill.arrivals")


def test_messages_of_one_key_keep_their_order(project: Cli, urls: dict[str, str]) -> None:
    project("route", "move", "mail")
    for key in MOVED:
        assert [number for each, number in messages(urls["eu3"]) if each == key] == list(range(EACH))


def test_a_database_that_left_the_route_is_emptied(project: Cli, urls: dict[str, str]) -> None:
    write(urls, ("eu1", "eu3"))
    assert status(project)["eu2"][0] == status(project)["eu2"][1] > 0
    project("route", "move", "mail", "--from", "eu2")
    assert messages(urls["eu2"]) == []
    assert account(urls) == EXACT


@pytest.mark.parametrize("step", ["route_arrive", "route_departed", "route_settled"])
def test_a_move_that_breaks_off_anywhere_is_completed_by_the_next(
    project: Cli, urls: dict[str, str], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is lost before the step: what is committed by then is what a killed process leaves."""
    named = catalog.statement if step != "route_arrive" else catalog.queue_statement

    def cut(name: str, *others: Any) -> str:
        if name == step:
            raise psycopg.OperationalError("cut")
        return named(name, *others)

    with monkeypatch.context() as patched:
        patched.setattr(moving, "statement" if step != "route_arrive" else "queue_statement", cut)
        assert project("route", "move", "mail").code != Exit.OK
    assert sum(1 for _ in account(urls).elements()) <= EXACT.total() + len(MOVED) * EACH
    assert project("route", "move", "mail").code == Exit.OK
    assert account(urls) == EXACT
    assert {elsewhere for _, elsewhere in status(project).values()} == {0}
    assert {count(url, "postmill.arrivals") for url in urls.values()} == {0}, (
        "and nothing of it is remembered"
    )


def test_a_move_makes_no_queue_where_nothing_goes(urls: dict[str, str], cli_without_database: Cli) -> None:
    """What an earlier move has noted there is looked for all the same."""
    write(urls, ALL)
    with servers.session(urls["eu3"]) as db:
        db.execute("select postmill.drop_queue('mail')")
    assert cli_without_database("route", "move", "mail", "--from", "eu1").code == Exit.OK
    assert count(urls["eu3"], "pgmq.meta") == 0


def test_uninstalling_is_refused_while_messages_are_on_their_way(
    project: Cli, urls: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A move had broken off, and what it had taken out of the queue went with the schema."""

    def cut(*_: Any) -> str:
        raise psycopg.OperationalError("cut")

    with monkeypatch.context() as patched:
        patched.setattr(moving.Mover, "_arriving", cut)
        assert project("route", "move", "mail").code != Exit.OK
    taken = [name for name, url in urls.items() if count(url, "postmill.departures")]
    assert taken
    refused = project("migrate", "--uninstall", "--yes", "--database", taken[0])
    assert "on their way to another database would be lost" in refused.err
    refused = project("migrate", "--uninstall", "--yes")
    assert f"In {taken[0]} " in refused.err
    assert all(count(url, "postmill.queues") for url in urls.values())
    project("route", "move", "mail")
    assert account(urls) == EXACT
    assert project("migrate", "--uninstall", "--yes", "--database", taken[0]).code == Exit.OK


TRIED = ['{"key": "tried", "n": 0}', f'{{"postmill-shard-key": "{MOVED[0]}"}}']


def test_what_is_bound_to_its_database_stays_and_is_told(project: Cli, urls: dict[str, str]) -> None:
    key = MOVED[0]
    old = home(key, OLD)
    write(urls, OLD)
    for options in (["--unique-key", "k"], ["--group-key", "g"]):
        assert (
            project("send", "mail", '{"key": "bound", "n": 0}', "--shard-key", key, *options).code == Exit.OK
        )
    with servers.session(urls[old]) as db:
        db.execute("select postmill.send('mail', $1::jsonb, headers => $2::jsonb)", TRIED)
        db.execute("update pgmq.q_mail set read_ct = 1 where message ->> 'key' = 'tried'")
    write(urls, ALL)
    answer = project("route", "move", "mail", "--json")
    (row,) = [row for row in answer.json if row["left"]]
    assert row["database"] == old
    assert (row["left"], row["tried"], row["unique_key"], row["group_key"], row["bound"]) == (3, 1, 1, 1, 0)
    assert f"Left in {old}: 1 were tried before, 1 have a unique key, 1 have a group" in answer.err
    assert [each for each in messages(urls[old]) if each[0] == "bound"] == [("bound", 0)] * 2
    assert status(project)[old][1] == 3


def test_a_queue_without_a_route_and_one_database_are_told(
    project: Cli, cli_without_database: Cli, urls: dict[str, str]
) -> None:
    assert "Did you mean mail?" in project("route", "status", "mial").err
    Path("postmill.toml").write_text(f'[db]\nurl = "{urls["eu1"]}"\n')
    assert "has one database" in cli_without_database("route", "status").err
