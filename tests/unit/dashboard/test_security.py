"""The rules of who gets in: pure, and attacked by hand."""

from __future__ import annotations

import pytest

from postmill.api.viewer import Role, Viewer
from postmill.dashboard.mount import inside
from postmill.dashboard.security.cookies import LIFE_S, Seal
from postmill.dashboard.security.hosts import may_be_named
from postmill.dashboard.security.keys import Keys, Opened

ADA = Opened(Viewer("operator", Role.OPERATOR), "a mark")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8420", "[::1]:8420", "localhost", "LOCALHOST:1", "jobs.example.org", "10.1.2.3"],
)
def test_addresses_and_known_names_may_be_named(host: str) -> None:
    assert may_be_named(host, {"jobs.example.org"})


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "jobs.example.org.evil.example", "127.0.0.1.evil.example", "localhost.evil.example",
     "localhost@evil.example", "evil.example:80:80", "[::1", "127.0.0.1/", "localhost evil", "0x7f.1"],
)  # fmt: skip
def test_other_names_may_not(host: str) -> None:
    assert not may_be_named(host, {"jobs.example.org"})


def test_a_cookie_is_read_back_while_it_holds() -> None:
    seal = Seal("s" * 40)
    cookie = seal.session(ADA, 1_000)
    found = seal.opened(cookie, 1_000 + LIFE_S - 1)
    assert found is not None
    assert (found.viewer, found.mark, found.issued_s) == (ADA.viewer, "a mark", None)
    assert seal.opened(cookie, 1_000 + LIFE_S + 1) is None


def test_a_cookie_ends_with_its_key() -> None:
    seal = Seal("s" * 40)
    cookie = seal.session(Opened(ADA.viewer, "id", ends_s=1_060.0, issued_s=900.5), 1_000)
    found = seal.opened(cookie, 1_059)
    assert found is not None
    assert (found.mark, found.issued_s) == ("id", 900.5)
    assert seal.opened(cookie, 1_061) is None


def test_a_cookie_of_another_secret_or_purpose_or_that_was_changed_is_worth_nothing() -> None:
    seal, other = Seal("s" * 40), Seal("t" * 40)
    body, _, signature = seal.session(Opened(Viewer("reader", Role.READER), "m"), 0).partition(".")
    raised = other.session(ADA, 0).partition(".")[0]
    bad = [
        "",
        ".",
        "x.y",
        body,
        f"{body}.",
        f"{raised}.{signature}",
        f".{signature}",
        f"{body}.{signature}0",
        f"\u00e9.{signature}",
        other.session(ADA, 0),
        seal.sign("notice", ["operator", "operator", 9e9, "a mark", None]),
        seal.sign("session", ["operator", "operator", 9_000_000_000]),
        "a" * 5000 + f".{signature}",
    ]
    assert [seal.opened(each, 1) for each in bad] == [None] * len(bad)


def test_two_projects_have_cookies_of_other_names() -> None:
    assert Seal("a" * 40).cookie("session") != Seal("b" * 40).cookie("session")


def test_a_key_is_whole_or_nothing() -> None:
    keys = Keys(operator=("op-key",), reader=("rd-key",), signing="s" * 40)
    found = [keys.opened(each) for each in ("op-key", "rd-key", "op-ke", "", "\u00e9")]
    assert [each and each.viewer.role for each in found] == [Role.OPERATOR, Role.READER, None, None, None]
    assert "op-key" not in repr(keys)


@pytest.mark.parametrize(
    ("asked", "to"),
    [
        ("/queues/a?x=1", "/queues/a?x=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil", "/"),
        ("", "/"),
        ("/\tx", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_the_page_after_signing_in_is_one_of_ours(asked: str, to: str) -> None:
    assert inside(asked) == to
