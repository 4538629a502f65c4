"""The demo: ``python -m examples.scraper``. Starts what it needs, crawls its site once, says what came of it.

A crawl is always a fresh one: the demo's two tables and its queue are emptied first.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from examples.scraper import account, processes, progress, summary
from postmill import PostmillError, app

if TYPE_CHECKING:
    from subprocess import Popen
    from typing import Any

    from psycopg import Connection

GIVE_UP_S = 60.0  # without any page coming to an end


class Stuck(Exception):
    """The crawl does not go on."""


def main() -> int:
    """Crawl this Python's library, served as web pages on loopback, with a worker on Postgres."""
    options = _options()
    console = Console(
        force_terminal=False if options.plain else None, markup=False, highlight=False, soft_wrap=True
    )
    try:
        ended = crawl(console, pages=options.pages, own_worker=not options.no_worker)
    except KeyboardInterrupt:
        console.print("Interrupted. Run it again for a fresh crawl.")
        return 130
    except (PostmillError, Stuck) as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if ended.exact else 1


def crawl(console: Console, *, pages: int, own_worker: bool) -> account.Account:
    """One crawl from the site's first page to the summary. Raises ``Stuck`` when it stops making progress."""
    settings = app.load_settings({})
    log = settings.project_dir / ".postmill" / "scraper.log"
    with ExitStack() as stack:
        connection = stack.enter_context(app.connection(settings))
        connection.execute("select postmill.create_queue('pages')")
        first = stack.enter_context(processes.site(pages))
        console.print(f"The site is {first}, the database {_shown(connection)}.")
        account.start(connection, first)
        worker = None
        if own_worker:
            console.print(f"The worker's log is {log}.")
            worker = stack.enter_context(processes.worker(log))
        ended = _watch(console, connection, worker)
        summary.show(console, ended, account.dead_letters(connection), commands=Path(sys.executable).parent)
        return ended


def _watch(console: Console, connection: Connection[Any], worker: Popen[bytes] | None) -> account.Account:
    """Show the crawl until every page has ended."""
    settled, since = 0, time.monotonic()
    with progress.shown(console) as show:
        while True:
            now = account.take(connection)
            show(now)
            if now.ended:
                return now
            if now.settled > settled:
                settled, since = now.settled, time.monotonic()
            if time.monotonic() - since > GIVE_UP_S:
                raise Stuck(f"No page ended for {GIVE_UP_S:.0f} s. Does a worker run?")
            if worker is not None and worker.poll() is not None:
                raise Stuck("The worker stopped. Its log, named above, says why.")
            time.sleep(progress.LOOK_EVERY)


def _shown(connection: Connection[Any]) -> str:
    """The database as a person would name it; never the password."""
    info = connection.info
    return f"{info.dbname} on {info.host}, PostgreSQL {info.server_version // 10_000}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.scraper", description=main.__doc__)
    parser.add_argument("--pages", type=int, default=1200, help="at most this many pages (default: 1200)")
    parser.add_argument("--no-worker", action="store_true", help="one runs already (postmill dev)")
    parser.add_argument("--plain", action="store_true", help="plain lines, also on a terminal")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
