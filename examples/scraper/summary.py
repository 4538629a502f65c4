"""What the demo says at the end: the account of the crawl, what died and why, and what to try next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from examples.scraper.account import Account, Letter

NEXT = (
    ("postmill dashboard", "pages to look at all of it, and to put back what died; it prints where"),
    ("postmill dead list pages", "every page that was given up; `postmill dead show` tells one's story"),
    (
        "postmill db psql",
        "then: select name, summary from scraper.definitions where kind = 'class' limit 20;",
    ),
    ("postmill bench drain", "how fast this machine can go when the handler does nothing"),
    ("postmill dev examples/scraper", "keeps the worker running, and starts it again when you edit it"),
    ("python -m examples.scraper --no-worker", "in a second terminal: another crawl for that worker"),
)


def show(console: Console, account: Account, letters: list[Letter], *, commands: Path) -> None:
    """Print it all. ``commands`` is the folder of the commands to try."""
    console.print()
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2))
    for name, value in _lines(account):
        table.add_row(name, value)
    console.print(table)
    console.print("\nGiven up, and why")
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2))
    for letter in letters:
        tries = f"{letter.attempts} attempt{'s' if letter.attempts > 1 else ''}"
        table.add_row(urlsplit(letter.url).path, tries, letter.reason.partition("\n")[0])
    console.print(table)
    console.print("\nWhat to try next")
    for command, purpose in NEXT:
        console.print(f"  {_typed(commands)}{command}\n      {purpose}")


def _typed(commands: Path) -> str:
    """The folder as one would type it before a command, from here."""
    here = Path.cwd()
    return f"{commands.relative_to(here) if commands.is_relative_to(here) else commands}/"


def _lines(account: Account) -> list[tuple[str, str]]:
    return [
        (
            "pages",
            f"{account.sent:,} sent = {account.done:,} done + {account.dead:,} dead; {_verdict(account)}",
        ),
        ("links", f"{account.links:,} on the folders' pages"),
        (
            "found",
            f"{account.functions:,} functions, {account.classes:,} classes in {account.bytes / 1e6:,.1f} MB",
        ),
        ("attempts", f"{account.attempts:,}, of which {account.retries:,} retries"),
        ("speed", _speed(account)),
        (
            "send to start",
            f"p50 {account.p50_ms or 0:,.0f} ms, p95 {account.p95_ms or 0:,.0f} ms (they wait in line)",
        ),
    ]


def _verdict(account: Account) -> str:
    return "none lost, none twice" if account.exact else "THIS DOES NOT ADD UP"


def _speed(account: Account) -> str:
    """By the time when 95 % had ended: the last few only wait for their next attempt."""
    if not account.most_s or not account.all_s:
        return "-"
    rate = 0.95 * account.sent / account.most_s
    return f"{rate:,.0f} messages/s (95 % ended in {account.most_s:.1f} s, all in {account.all_s:.1f} s)"
