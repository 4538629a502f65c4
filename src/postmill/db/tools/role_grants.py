"""The roles that production logins are members of, and the SQL that makes them and grants each what it needs.
Texts only: nothing here talks to a server.
"""

from __future__ import annotations

from postmill.db.tools.facades import FACADES
from postmill.sql.catalog import scripts, statement

ROLES = ("postmill_producer", "postmill_worker", "postmill_scheduler", "postmill_reader", "postmill_operator")
"""The roles that production logins are members of. They belong to the whole server."""
POWERLESS = "postmill_nobody"
"""A role without rights and members: as it the functions of scheduled commands are called."""
ALL_ROLES = (*ROLES, POWERLESS)
_GRANTED_IN = ("postmill", "pgmq")
"""The schemas in which ``sql/roles`` grants, each time anew."""
_KNOWN_IN = (*_GRANTED_IN, "postmill_commands", *(facade.name for facade in FACADES))
"""All schemas in which the roles may have been granted something."""


def made() -> str:
    """SQL that makes the roles that are missing."""
    return "\n".join(statement("role_create").replace("{role}", role) for role in ALL_ROLES)


def grants() -> str:
    """SQL that grants each role what it needs, and nothing else of what it had."""
    return "\n".join((_revoked(_GRANTED_IN), *(text for _, text in scripts("roles"))))


def none() -> str:
    """SQL that takes every right in this database from the roles."""
    return f"{_revoked(_KNOWN_IN)}\n{statement('roles_forget')}"


def _revoked(schemas: tuple[str, ...]) -> str:
    named = {"{schemas}": schemas, "{roles}": ALL_ROLES}
    text = statement("roles_revoke")
    for place, names in named.items():
        text = text.replace(place, ", ".join(f"'{name}'" for name in names))
    return text
