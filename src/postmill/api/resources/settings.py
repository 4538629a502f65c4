"""How this installation is set up. No secret is in it: neither a key nor the address of the database."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from postmill.api.resources.overview import FoundProblem
from postmill.api.route import resource
from postmill.db.reads import settings

if TYPE_CHECKING:
    from postmill.api.desk import Desk
    from postmill.db.tools.connect import Connection

MOST_RULES = 20
"""Rules of retention at most. Twenty: an installation has a few, and a list that is longer is no rule."""


class Part(Struct):
    """Something that can be installed in the database, and what is to be done about it."""

    part: str
    state: Literal["installed", "outdated", "missing", "taken", "available"]
    detail: str


class HeldRole(Struct):
    """A role that the database uses. ``is_own``: the login of this process has it."""

    name: str
    is_own: bool


class Rule(Struct, kw_only=True):
    """How long queues keep what is done, in seconds (null: for ever), and how many archived messages at most
    (null: any number).
    """

    archive_s: float | None = None
    history_s: float | None = None
    archive_max_rows: int | None = None
    queues: int
    """How many queues it is for."""
    first_queue: str


class Server(Struct):
    """The database's server, and the login of this process there. Nothing can be changed on a standby, nor
    where transactions are read only.
    """

    version: str
    name: str
    login: str
    standby: bool
    unwritable: bool


class Settings(Struct, kw_only=True):
    """What is installed, who may do what, how long things are kept, what is left out."""

    postmill: str
    server: Server
    read_only: bool
    """It only shows: no viewer may act."""
    redacted: list[str]
    """What stands under a name that contains one of these is left out."""
    parts: list[Part]
    """Empty when the login may not look; then a check says so."""
    checks: list[FoundProblem]
    """Of ``postmill doctor``, those about versions and rights."""
    roles: list[HeldRole]
    retention: list[Rule]


@resource("GET", "/settings", out=Settings)
async def show_settings(desk: Desk) -> Settings:
    """How this installation is set up: versions, roles, retention, what is left out."""
    return await desk.read(_settings, desk)


def _settings(connection: Connection, desk: Desk) -> Settings:
    house = desk.house
    found = settings.checked(connection, house.sessions.address)
    return Settings(
        postmill=version("postmill"),
        server=desk.shaped(Server, settings.server(connection)),
        read_only=house.read_only,
        redacted=list(house.hide.patterns),
        parts=[desk.shaped(Part, row) for row in settings.installed(connection)],
        checks=[
            FoundProblem(
                check=each.check, status=each.status, found=each.found, fix=each.fix, about=list(each.about)
            )
            for each in found
        ],
        roles=[desk.shaped(HeldRole, row) for row in settings.roles(connection)],
        retention=[desk.shaped(Rule, row) for row in settings.retentions(connection, limit=MOST_RULES)],
    )
