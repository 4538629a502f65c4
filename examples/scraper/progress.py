"""Shows a crawl while it runs: a live line on a terminal, a plain line every second elsewhere.

Counts nothing itself.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from examples.scraper.account import Account

LOOK_EVERY = 0.2  # seconds
PLAIN_LINE_EVERY = 1.0  # seconds


@contextmanager
def shown(console: Console) -> Iterator[Callable[[Account], None]]:
    """Gives the function that shows one account after the other."""
    if not console.is_terminal:
        yield _PlainLines(console)
        return
    with Live(console=console, refresh_per_second=10, transient=True) as live:
        yield lambda account: live.update(_drawn(account))


def ended(account: Account) -> str:
    """How many pages have come to an end."""
    return f"{account.settled} of {account.sent} pages"


def found(account: Account) -> str:
    """What came of them so far."""
    return (
        f"{account.functions} functions, {account.classes} classes, "
        f"{account.retries} retries, {account.dead} dead"
    )


class _PlainLines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = time.monotonic()

    def __call__(self, account: Account) -> None:
        if time.monotonic() >= self._next or account.ended:
            self._next = time.monotonic() + PLAIN_LINE_EVERY
            self._console.print(f"{ended(account)}, {found(account)}")


def _drawn(account: Account) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_row(ProgressBar(total=account.sent, completed=account.settled, width=24), ended(account))
    grid.add_row("", found(account))
    if account.waiting < 10 and not account.ended:
        grid.add_row("", Text("the last ones wait for another try", style="dim"))
    return grid
