"""What ``postmill doctor`` says of the rights of the connected user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.model.finding import Finding
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection
    from postmill.model.config.address import Address


def checked(connection: Connection, _: Address) -> Finding:
    """The connected user may do what its roles are for; without a role, what workers do. Making and dropping
    queues is not asked for.
    """
    user, roles = connection.info.user, _rows(connection, "check_roles")
    own = [row["name"] for row in roles if row["is_own"]]
    missing = [row["wanted"] for row in _rows(connection, "check_privileges", bool(own))]
    if missing:
        fix = f"As the owner: {_grant_of_role(user, in_use=bool(roles))}"
        return Finding("privileges", "fail", f"{user} lacks {'; '.join(missing)}", fix)
    lacking = _rows(connection, "check_queue_rights", own) if own else []
    if lacking:
        found = f"{user} lacks {'; '.join(row['wanted'] for row in lacking)}"
        return Finding(
            "privileges", "fail", found, f"As the owner: {'; '.join(row['fix'] for row in lacking)}"
        )
    return Finding("privileges", "pass", f"{user} has all that {', '.join(own) or 'a worker'} needs")


def _grant_of_role(user: str, *, in_use: bool) -> str:
    if in_use:
        return f'grant postmill_worker to "{user}"; or another role: postmill docs production-roles'
    grant = f'grant postmill_worker to "{user}"'
    return f"postmill migrate --roles, then {grant}; by hand: postmill docs sql-functions"


def _rows(connection: Connection, name: str, *arguments: object) -> list[dict[str, Any]]:
    return connection.execute(statement(name), arguments).fetchall()
