"""What asyncpg is given for an address: nothing that it would send to the server as a setting by mistake."""

from __future__ import annotations

from typing import Any

import pytest

from postmill.model.config.address import parse
from postmill.model.config.asyncpg_address import TcpKeepalive, arguments, silence
from postmill.model.errors import InvalidAddress


def given(text: str) -> list[dict[str, Any]]:
    return arguments(parse(text).url)


@pytest.mark.parametrize(
    ("text", "dsn"),
    [
        ("postgresql://u:p@h:5/db", "postgresql://u:p@h:5/db"),
        ("postgresql://u:p%40%2F@h/d%2Fb", "postgresql://u:p%40%2F@h/d%2Fb"),
        ("postgresql:///db?host=/tmp/a b&port=6", "postgresql:///db?host=/tmp/a%20b&port=6"),
        ("postgresql://h/db?sslmode=require&channel_binding=require", "postgresql://h/db?sslmode=require"),
        ("postgresql://h/db?keepalives_idle=30&tcp_user_timeout=9&gssencmode=disable", "postgresql://h/db"),
        ("postgresql://h/db?sslrootcert=/etc/ca.pem", "postgresql://h/db?sslrootcert=/etc/ca.pem"),
        ("postgresql://h/db?target_session_attrs=any", "postgresql://h/db?target_session_attrs=any"),
        ("postgresql:///db?hostaddr=10.0.0.1", "postgresql:///db?host=10.0.0.1"),
        ("postgresql://h/db?hostaddr=10.0.0.1", "postgresql://h/db"),
        ("postgresql://", "postgresql:///"),
    ],
)
def test_parameters_are_passed_on_or_left_out(text: str, dsn: str) -> None:
    (only,) = given(text)
    assert only["dsn"].rstrip("/") == dsn.rstrip("/")
    assert only["server_settings"] == {}


def test_what_libpq_sends_to_the_server_is_sent() -> None:
    (only,) = given("postgresql://h/db?application_name=shop&options=-csearch_path%3Dapp")
    assert only["server_settings"] == {"application_name": "shop", "options": "-csearch_path=app"}


@pytest.mark.parametrize(("value", "seconds"), [("3", 3.0), ("0", None), ("-1", None)])
def test_the_time_limit_is_asyncpgs_own(value: str, seconds: float | None) -> None:
    (only,) = given(f"postgresql://h/db?connect_timeout={value}")
    assert only.get("timeout") == seconds


def test_the_systems_certificates_are_trusted_as_libpq_does() -> None:
    (only,) = given("postgresql://h/db?sslmode=verify-full&sslrootcert=system")
    assert (only["dsn"], only["ssl"]) == ("postgresql://h/db", True)


@pytest.mark.parametrize(
    ("text", "dsns"),
    [
        ("postgresql://u@a:1,b:2/db", ["postgresql://u@a:1/db", "postgresql://u@b:2/db"]),
        ("postgresql://u@[::1]:1,b/db", ["postgresql://u@[::1]:1/db", "postgresql://u@b/db"]),
        ("postgresql:///db?host=a,b", ["postgresql:///db?host=a", "postgresql:///db?host=b"]),
        (
            "postgresql:///db?host=a,b&port=7",
            ["postgresql:///db?host=a&port=7", "postgresql:///db?host=b&port=7"],
        ),
        (
            "postgresql:///db?host=a,b&port=7,8",
            ["postgresql:///db?host=a&port=7", "postgresql:///db?host=b&port=8"],
        ),
    ],
)
def test_of_several_hosts_each_has_its_own_time_and_the_primary_is_wanted(text: str, dsns: list[str]) -> None:
    found = given(text)
    assert [
        one["dsn"]
        .replace("&target_session_attrs=read-write", "")
        .replace("?target_session_attrs=read-write", "")
        for one in found
    ] == dsns
    assert all("target_session_attrs=read-write" in one["dsn"] for one in found)


def test_standbys_may_be_preferred_only_among_all_hosts() -> None:
    (only,) = given("postgresql://a,b/db?target_session_attrs=prefer-standby")
    assert only["dsn"] == "postgresql://a,b/db?target_session_attrs=prefer-standby"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("postgresql://h/db?schema=public", "libpq knows no parameter 'schema'"),
        ("postgresql://h/db?ssl_mode=require", "Did you mean sslmode?"),
        ("postgresql://h/db?require_auth=scram-sha-256", "asks for require_auth"),
        ("postgresql:///db?host=/tmp&requirepeer=postgres", "asks for requirepeer"),
        ("postgresql://h/db?connect_timeout=soon", "connect_timeout=soon"),
        ("postgresql://h/db?connect_timeout=--5", "connect_timeout=--5"),
        ("postgresql://h/db?connect_timeout=%C2%B2", "connect_timeout=²"),
        ("postgresql:///db?host=a,b&port=1,2,3", "2 hosts and 3 ports"),
    ],
)
def test_what_can_not_be_honoured_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidAddress) as raised:
        given(text)
    assert said in f"{raised.value} {raised.value.why} {raised.value.hint}"


@pytest.mark.parametrize(
    ("query", "limit"),
    [
        ("", TcpKeepalive()),
        ("?keepalives=0", TcpKeepalive(keepalive=False)),
        ("?keepalives_idle=60&keepalives_interval=7&keepalives_count=2", TcpKeepalive(True, 60, 7, 2)),
        ("?tcp_user_timeout=900&keepalives_idle=0", TcpKeepalive(user_timeout_ms=900)),
    ],
)
def test_a_peer_that_is_gone_is_noticed_as_the_address_says(query: str, limit: TcpKeepalive) -> None:
    assert silence(f"postgresql://h/db{query}") == limit


def test_a_time_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidAddress) as raised:
        silence("postgresql://h/db?tcp_user_timeout=soon")
    assert "tcp_user_timeout=soon" in raised.value.why
