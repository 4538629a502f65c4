"""What a database address is: parsed, validated, normalised and masked. Pure.

Nothing here connects or looks up a name.

An address is a libpq URI. Both drivers must read the same thing in it, so it is taken apart here, by stricter
rules than either has, and put together again with everything percent-encoded. No error of this module ever
contains a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from postmill.model.errors import InvalidAddress, InvalidOption

POOLER_PORT = "6543"
"""The port on which Supabase's and other hosted poolers listen in transaction mode."""

_FORM = "Write it as postgresql://user:password@host:5432/database."
_RULE = (
    "In a password these characters must be percent-encoded: @ as %40, : as %3A, / as %2F, ? as %3F, # as "
    "%23, % as %25, [ as %5B, ] as %5D, a space as %20. For example p@ss/word is written p%40ss%2Fword."
)
_SCHEME = re.compile(r"(?P<name>postgres(?:ql)?)(?:\+[a-z0-9_]+)?://", re.IGNORECASE)
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.%]+\]|[^\[\]:]*)(?::(?P<port>[0-9]*))?")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_AMBIGUOUS = re.compile(r"[@\[\]\s]")
_IN_TEXT = re.compile(r"(?P<head>\b[a-z][a-z0-9+]*://[^:/@\s'\"]*):[^\s'\"]*@", re.IGNORECASE)
_PARAMETER = re.compile(
    r"(?P<head>\b(?:ssl)?password)(?P<equals>\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s&'\"]+)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the database is. Its ``repr`` and ``str`` show no password; ``url`` does."""

    url: str = field(repr=False)
    """A libpq URI that asyncpg and psycopg read alike."""
    pooled: bool = False
    """Behind a pooler in transaction mode: no prepared statements, no LISTEN, no session state."""
    stated: bool = False
    """Whether it is pooled is known: the address says so itself (``pgbouncer=true|false``), or it was found
    out.
    """
    direct_url: str | None = field(default=None, repr=False)
    """A direct address beside a pooled one, for LISTEN only."""
    source: str = ""
    """Where the address came from, for people: an option, a variable, ``postmill.toml`` or ``embedded``."""

    @property
    def pooler_is_known(self) -> bool:
        """Whether it is known if a pooler stands before the server, so that the server need not be asked."""
        return self.pooled or self.stated

    def with_pooler(self, found: bool) -> Address:
        """The same address, when it was found out whether something stands in between."""
        return replace(self, pooled=found, stated=True)

    @property
    def listen_url(self) -> str | None:
        """The address to LISTEN on; None when there is only a pooler."""
        return self.direct_url or (None if self.pooled else self.url)

    @property
    def masked(self) -> str:
        """The address for people: the password is ``***``."""
        return mask(self.url)

    def __str__(self) -> str:
        return self.masked


_YES = frozenset({"true", "1", "yes"})
_NO = frozenset({"false", "0", "no"})


@dataclass(frozen=True, slots=True)
class _Parts:
    user: str
    password: str | None
    hosts: str
    database: str
    query: tuple[tuple[str, str], ...]


def parse(text: str, *, listen_url: str | None = None, source: str = "") -> Address:
    """The address in ``text``, normalised.

    Accepts ``postgresql://`` and ``postgres://``, also as SQLAlchemy writes them (``postgresql+psycopg://``).
    Raises :class:`InvalidAddress`, whose text says which rule was broken and never contains a password.
    """
    parts = _parts(text.strip(), source)
    direct = parse(listen_url, source="listen_url").url if listen_url else None
    return Address(
        url=_joined(parts),
        pooled=_is_pooled(parts),
        stated="pgbouncer" in dict(parts.query),
        direct_url=direct,
        source=source,
    )


def check_listens(url: str, source: str) -> None:
    """Raises :class:`InvalidOption` for an address on which no notification arrives."""
    if parse(url, source=source).pooled:
        raise InvalidOption(
            f"The listen address from {source} is a pooler in transaction mode.",
            why="Port 6543 and hosts named pooler never deliver notifications.",
            hint="Give the database's direct address, or leave it out: workers then poll.",
        )


def is_embedded(url: str) -> bool:
    """Whether the address leads to an embedded server: it names the superuser, and a socket in a folder of
    the name that embedded servers use. Only the address is looked at, because other processes get it as a
    variable.
    """
    parts = urlsplit(url)
    folder = dict(parse_qsl(parts.query)).get("host", "")
    name = folder.rpartition("/")[2]
    ours = name == "socket" or name.startswith("postmill-")
    return parts.netloc == "postgres@" and folder.startswith("/") and ours


def mask(text: str, *addresses: str) -> str:
    """``text`` with the password of every address in it as ``***``.

    ``addresses`` are replaced as a whole first: a password with a space can't be found by its shape.
    """
    for address in addresses:
        text = text.replace(address, _masked_address(address))
    text = _IN_TEXT.sub(r"\g<head>:***@", text)
    return _PARAMETER.sub(r"\g<head>\g<equals>***", text)


def _masked_address(address: str) -> str:
    """In a malformed address all from the first colon to the last @ counts as the password, so that no part
    of it is shown.
    """
    scheme, separator, rest = address.partition("://")
    user, colon, secret = rest.partition(":")
    if not separator or not colon or "/" in user or "@" in user:
        return _PARAMETER.sub(r"\g<head>\g<equals>***", address)
    shown = secret[secret.rindex("@") :] if "@" in secret else ""
    return _PARAMETER.sub(r"\g<head>\g<equals>***", f"{scheme}://{user}:***{shown}")


def _parts(text: str, source: str) -> _Parts:
    scheme = _SCHEME.match(text)
    if scheme is None:
        raise _invalid(source, "It does not start with postgresql:// or postgres://.")
    rest = text[scheme.end() :]
    end = re.search(r"[/?#]", rest)
    authority, tail = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    _refuse_unencoded(authority, tail, source)
    userinfo, at, hosts = authority.rpartition("@")
    user, colon, password = userinfo.partition(":")
    path, _, query = tail.partition("?")
    _check_hosts(hosts, source)
    return _Parts(
        user=unquote(user) if at else "",
        password=unquote(password) if colon else None,
        hosts=hosts,
        database=unquote(path.removeprefix("/")),
        query=tuple(_pairs(query, source)),
    )


def _refuse_unencoded(authority: str, tail: str, source: str) -> None:
    """A password that is not encoded ends at its own @ / ? # % [ ] or space."""
    userinfo, at, hosts = authority.rpartition("@")
    path, _, query = tail.partition("?")
    stray_at = "@" in path or ("@" in tail and not at and (":" in hosts or "@" in query.partition("=")[0]))
    ambiguous = bool(_AMBIGUOUS.search(userinfo)) or "#" in tail or bool(_BAD_PERCENT.search(authority))
    if stray_at or ambiguous:
        raise InvalidAddress(
            f"The database address{_from(source)} has a special character that is not percent-encoded.",
            why=_RULE,
            hint="Encode the password: python3 -c 'import getpass, urllib.parse as u; "
            'print(u.quote(getpass.getpass(), safe=""))\'',
        )


def _check_hosts(hosts: str, source: str) -> None:
    for host in hosts.split(","):
        match = _HOST.fullmatch(host)
        if match is None or not 0 <= int(match["port"] or 5432) <= 65535:
            raise _invalid(
                source, "What follows the host name and a colon is not a port number from 1 to 65535."
            )


def _pairs(query: str, source: str) -> list[tuple[str, str]]:
    pairs = []
    for pair in query.split("&") if query else []:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise _invalid(source, "What follows the ? is not a list of name=value, joined by &.")
        if name == "pgbouncer" and unquote(value).lower() not in _YES | _NO:
            raise _invalid(source, "pgbouncer is true or false.")
        pairs.append((unquote(name), unquote(value)))
    return pairs


def _is_pooled(parts: _Parts) -> bool:
    query = dict(parts.query)
    if "pgbouncer" in query:
        return query["pgbouncer"].lower() in _YES
    hosts = [*parts.hosts.split(","), *query.get("host", "").split(",")]
    ports = query.get("port", "").split(",")
    return POOLER_PORT in ports or any("pooler" in host or host.endswith(":" + POOLER_PORT) for host in hosts)


def _joined(parts: _Parts) -> str:
    userinfo = quote(parts.user, safe="")
    if parts.password is not None:
        userinfo += ":" + quote(parts.password, safe="")
    pairs = [
        f"{quote(name, safe='')}={quote(value, safe='/,:')}"
        for name, value in (*parts.query, *_primary_only(parts))
        if name != "pgbouncer"
    ]
    return (
        "postgresql://"
        + (f"{userinfo}@" if userinfo else "")
        + parts.hosts
        + (f"/{quote(parts.database, safe='')}" if parts.database or not parts.hosts else "")
        + ("?" + "&".join(pairs) if pairs else "")
    )


def _primary_only(parts: _Parts) -> tuple[tuple[str, str], ...]:
    """Of several hosts the one that takes writes, also after a failover: a standby is of no use here."""
    query = dict(parts.query)
    several = "," in parts.hosts or "," in query.get("host", "")
    if not several or "target_session_attrs" in query:
        return ()
    return (("target_session_attrs", "read-write"),)


def _invalid(source: str, why: str) -> InvalidAddress:
    return InvalidAddress(f"The database address{_from(source)} can't be read.", why=why, hint=_FORM)


def _from(source: str) -> str:
    return f" from {source}" if source else ""
