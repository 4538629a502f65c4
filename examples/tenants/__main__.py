"""The demo of fairness: ``python -m examples.tenants``; with ``--one-line`` the same without groups."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rich.console import Console

from examples.scraper import processes
from examples.tenants import watch
from examples.tenants.tenants import Shop
from postmill import PostmillError, app

if TYPE_CHECKING:
    from examples.tenants.tenants import Tenant

LOOK_EVERY = 0.2  # seconds
GIVE_UP_S = 60.0  # for the last pages of the quiet tenant


def main() -> int:
    """Two tenants share a queue: a noisy one sends a lot at once, a quiet one a page a second."""
    options = _options()
    console = Console(force_terminal=False if options.plain else None, highlight=False, soft_wrap=True)
    try:
        tenants = demonstrate(console, noisy=options.noisy, quiet=options.quiet, fair=not options.one_line)
    except KeyboardInterrupt:
        return 130
    except PostmillError as error:
        print(error, file=sys.stderr)
        return 1
    console.print(watch.table(tenants))
    if not options.one_line:
        console.print("The same without groups: python -m examples.tenants --one-line")
    return 0


def demonstrate(console: Console, *, noisy: int, quiet: int, fair: bool) -> list[Tenant]:
    """The noisy tenant sends all of its pages at once, the quiet one a page a second. Ends when all pages of
    the quiet one are done.
    """
    settings = app.load_settings({})
    log = settings.project_dir / ".postmill" / "tenants.log"
    with ExitStack() as stack:
        shop = Shop(stack.enter_context(app.connection(settings)), fair=fair)
        shop.open()
        shop.send("noisy", range(noisy))
        console.print(f"The noisy tenant has sent {noisy} pages. The worker's log is {log}.")
        stack.enter_context(processes.worker(log, "examples.tenants.worker:render"))
        show = stack.enter_context(watch.shown(console))
        began, sent = time.monotonic(), 0
        while True:
            if sent < quiet and time.monotonic() >= began + sent:
                shop.send("quiet", range(sent, sent + 1))
                sent += 1
            tenants = shop.look()
            show(tenants)
            if _done(tenants, "quiet") == quiet:
                return tenants
            if time.monotonic() > began + quiet + GIVE_UP_S:
                raise PostmillError("The quiet tenant's pages are not done. Its log, named above, says why.")
            time.sleep(LOOK_EVERY)


def _done(tenants: list[Tenant], name: str) -> int:
    return sum(tenant.done for tenant in tenants if tenant.tenant == name)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.tenants", description=main.__doc__)
    add = parser.add_argument
    add("--noisy", type=int, default=600, help="pages that the noisy tenant sends at once (default: 600)")
    add("--quiet", type=int, default=10, help="pages of the quiet tenant, one a second (default: 10)")
    add("--one-line", action="store_true", help="without groups: all messages stand in one line")
    add("--plain", action="store_true", help="plain lines, also on a terminal")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
