"""What asyncpg must be given to read an address as libpq reads it. Pure: nothing here connects.

asyncpg sends every parameter that it does not know to the server as a setting, and the server refuses the
connection. So each of libpq's parameters is passed on, translated or left out here. With several hosts there
is one set of arguments for each, because asyncpg's time limit is for all of them together, and libpq's for
each: a host that never answers must leave time for the next.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from postmill.model.config.address import is_embedded
from postmill.model.errors import InvalidAddress
from postmill.model.option_rules import did_you_mean

_PASSED_ON_NAMES = """
host port dbname user password passfile service sslmode sslcert sslkey sslrootcert sslcrl sslpassword
sslnegotiation ssl_min_protocol_version ssl_max_protocol_version target_session_attrs krbsrvname gsslib
"""
_LEFT_OUT_NAMES = """
channel_binding client_encoding fallback_application_name gssdelegation gssencmode hostaddr
load_balance_hosts max_protocol_version min_protocol_version oauth_client_id oauth_client_secret
oauth_issuer oauth_scope replication requiressl scram_client_key scram_server_key servicefile sslcertmode
sslcompression sslcrldir sslkeylogfile sslsni
"""
_PASSED_ON = frozenset(_PASSED_ON_NAMES.split())
_LEFT_OUT = frozenset(_LEFT_OUT_NAMES.split())
"""Parameters about libpq's own protocol, left out for asyncpg. ``channel_binding`` too: providers put it into
every address.
"""
_is_whole_number = re.compile(r"-?[0-9]{1,9}").fullmatch
_WATCHED = ("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout")
"""Parameters about a peer that no longer answers: read by :func:`silence`."""
_PROMISES = ("require_auth", "requirepeer")
"""Checks of the server that asyncpg does not make: leaving them out would be a lie."""
_SETTINGS = ("application_name", "options")
_UNASKED = {"ssl": False, "direct_tls": False, "target_session_attrs": "any"}
"""For the project's own Postgres: asyncpg would take these from variables meant for other servers."""


@dataclass(frozen=True, slots=True)
class TcpKeepalive:
    """When a TCP connection whose peer no longer answers is given up: 30 s, unless the address says
    otherwise.
    """

    keepalive: bool = True
    idle_s: int = 15
    """Seconds of silence after which the peer is probed. 15 s and three probes 5 s apart make 30 s."""
    interval_s: int = 5
    """Seconds between two probes."""
    count: int = 3
    """The number of probes without an answer after which the connection ends."""
    user_timeout_ms: int = 30_000
    """Milliseconds after which data that the peer has not acknowledged end the connection."""


def silence(url: str) -> TcpKeepalive:
    """The bounds that the address gives by libpq's parameters, else the defaults. 0 and below mean the
    default, as they mean the system's default to libpq. Raises :class:`InvalidAddress` for what is no whole
    number.
    """
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    default = TcpKeepalive()

    def given(name: str, otherwise: int) -> int:
        asked = _whole_number(query, name)
        return asked if asked > 0 else otherwise

    return TcpKeepalive(
        keepalive=not query.get("keepalives") or _whole_number(query, "keepalives") != 0,
        idle_s=given("keepalives_idle", default.idle_s),
        interval_s=given("keepalives_interval", default.interval_s),
        count=given("keepalives_count", default.count),
        user_timeout_ms=given("tcp_user_timeout", default.user_timeout_ms),
    )


def arguments(url: str) -> list[dict[str, Any]]:
    """Keyword arguments for ``asyncpg.connect``, one set for each host, to be tried in this order.

    Always ``dsn`` and ``server_settings``; ``timeout`` in seconds and ``ssl`` where the address asks for it.
    ``url`` is an address as ``address.parse`` gives it. Raises :class:`InvalidAddress` for a parameter that
    libpq does not know either, and for one that asyncpg can't follow.
    """
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    _check(query)
    shared: dict[str, Any] = {
        "server_settings": {name: query[name] for name in _SETTINGS if query.get(name)},
    }
    if is_embedded(url):
        shared |= {name: value for name, value in _UNASKED.items() if name not in query}
    timeout_s = _seconds(query)
    if timeout_s:
        shared["timeout"] = timeout_s
    passed = {name: value for name, value in query.items() if name in _PASSED_ON}
    if query.get("hostaddr") and not passed.get("host") and not _authority(url)[1]:
        passed["host"] = query["hostaddr"]
    if passed.get("sslrootcert") == "system":
        shared["ssl"] = True
        del passed["sslrootcert"]
        passed.pop("sslmode", None)
    return [{"dsn": dsn, **shared} for dsn in _one_for_each_host(url, passed)]


CONNECT_TIMEOUT_S = 10
"""How long a tool or a client waits for one host, in seconds, unless the address says ``connect_timeout``.
10 s: an address on another continent with TLS takes about one, and two lost packets at its beginning add 3.
"""


def connect_timeout_s(url: str, default_s: int = CONNECT_TIMEOUT_S) -> int:
    """libpq's time limit for one host: the address's own, else ``default_s``. Of several hosts each gets 2 s,
    the least that every libpq honours: a dead one must leave time for the next.
    """
    attempts = arguments(url)
    given = attempts[0].get("timeout")
    return int(given) if given else default_s if len(attempts) == 1 else min(default_s, 2)


def _one_for_each_host(url: str, query: dict[str, str]) -> list[str]:
    user, hosts = _authority(url)
    together = query.get("target_session_attrs") == "prefer-standby"
    if together or "," not in query.get("host", hosts):
        return [_dsn(url, user, hosts, query)]
    if "host" not in query:
        return [_dsn(url, user, host, query) for host in hosts.split(",")]
    named = query["host"].split(",")
    ports = query.get("port", "").split(",")
    ports = ports * len(named) if len(ports) == 1 else ports
    if len(ports) != len(named):
        raise InvalidAddress(
            "The database address can't be read.",
            why=f"It names {len(named)} hosts and {len(ports)} ports.",
            hint="Give one port for each host, or one for all.",
        )
    each = zip(named, ports, strict=True)
    return [_dsn(url, user, hosts, {**query, "host": host, "port": port}) for host, port in each]


def _authority(url: str) -> tuple[str, str]:
    """User and password with their @, and the hosts."""
    user, at, hosts = urlsplit(url).netloc.rpartition("@")
    return user + at, hosts


def _dsn(url: str, user: str, hosts: str, query: dict[str, str]) -> str:
    database = quote(unquote(urlsplit(url).path.removeprefix("/")), safe="")
    pairs = urlencode({name: value for name, value in query.items() if value}, quote_via=quote, safe="/,:")
    return f"postgresql://{user}{hosts}{'/' + database if database else ''}{'?' + pairs if pairs else ''}"


def _seconds(query: dict[str, str]) -> float:
    """The time limit for a host; 0 and below: none is given."""
    return max(0.0, float(_whole_number(query, "connect_timeout", " of seconds")))


def _whole_number(query: dict[str, str], name: str, unit: str = "") -> int:
    text = query.get(name) or "0"
    if not _is_whole_number(text):
        raise InvalidAddress(
            "The database address can't be used.", why=f"{name}={text} is not a whole number{unit}."
        )
    return int(text)


def _check(query: dict[str, str]) -> None:
    for name, value in query.items():
        if name in _PROMISES and value:
            raise InvalidAddress(
                f"The database address asks for {name}, which can't be kept.",
                why="asyncpg, which workers and the async client use, does not check it.",
                hint=f"Leave {name} out; sslmode=verify-full makes sure of the server.",
            )
        known = {*_PASSED_ON, *_LEFT_OUT, *_SETTINGS, *_WATCHED, "connect_timeout"}
        if name not in {*known, *_PROMISES}:
            raise InvalidAddress(
                "The database address can't be used.",
                why=f"libpq knows no parameter {name!r}.",
                hint=did_you_mean(name, known)
                or "Settings of the server go into options: ?options=-csearch_path%3Dapp",
            )
