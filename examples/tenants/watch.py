"""Shows the tenants while they are served: a live table on a terminal, plain lines every second elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.live import Live
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from examples.tenants.tenants import Tenant

    Show = Callable[[list[Tenant]], None]

COLUMNS = ("tenant", "waiting", "running", "done", "waited (middle)", "waited (longest)")
PLAIN_LINES_EVERY = 1.0  # seconds


@contextmanager
def shown(console: Console) -> Iterator[Show]:
    """Gives the function that shows the tenants of one moment after the other."""
    if not console.is_terminal:
        yield _plain(console)
        return
    with Live(console=console, refresh_per_second=10, transient=True) as live:
        yield lambda tenants: live.update(table(tenants))


def table(tenants: list[Tenant]) -> Table:
    """One row a tenant."""
    drawn = Table(*COLUMNS, box=None, padding=(0, 2, 0, 0))
    for tenant in tenants:
        counts = (tenant.waiting, tenant.running, tenant.done)
        waits = (_seconds(tenant.middle_ms), _seconds(tenant.longest_ms))
        drawn.add_row(tenant.tenant, *map(str, counts), *waits)
    return drawn


def line(tenant: Tenant) -> str:
    """A tenant in a line."""
    return (
        f"{tenant.tenant}: {tenant.waiting} waiting, {tenant.running} running, {tenant.done} done,"
        f" waited {_seconds(tenant.middle_ms)}, at most {_seconds(tenant.longest_ms)}"
    )


def _plain(console: Console) -> Show:
    due = 0.0

    def show(tenants: list[Tenant]) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + PLAIN_LINES_EVERY
            console.print("\n".join(map(line, tenants)))

    return show


def _seconds(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds / 1000:.3f} s"
