"""What is wrong now, as ``postmill doctor`` finds it; only what reads find, in the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.db.tools import checks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postmill.db.tools.connect import Connection
    from postmill.model.config.address import Address
    from postmill.model.finding import Finding


def of_work(connection: Connection, address: Address) -> list[Finding]:
    """What each check of queues, schedules, calls and flows has found, and what keeps vacuum from them."""
    return of({**checks.of_schema(), "vacuum": checks.horizon}, connection, address)


def of(wanted: Mapping[str, checks.Check], connection: Connection, address: Address) -> list[Finding]:
    """What each of these checks has found."""
    return [checks.tried(name, _alone(check), connection, address) for name, check in wanted.items()]


def _alone(check: checks.Check) -> checks.Check:
    """One that breaks, or that tells an error of the database as its finding, does not break the
    transaction.
    """

    def checked(connection: Connection, address: Address) -> Finding:
        with connection.transaction(force_rollback=True):
            return check(connection, address)

    return checked
