"""The same work done by Postmill and by the systems people would pick instead, on one server, in one run.

``python -m benchmarks.peers --json out.json --page`` measures everything and writes the page.
``python -m benchmarks.peers.page out.json`` writes it from documents of before. The document goes to the file
or to stdout, notes go to stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.peers import page
from benchmarks.peers.measurements import Options
from benchmarks.peers.peer import all_peers
from benchmarks.peers.run import MEASUREMENTS, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def main() -> None:
    """Reads the options, measures, writes the document."""
    given = vars(_parser().parse_args())
    if given["page"]:
        page.check()
    options = Options(**{name: given[name] for name in asdict(Options())})
    peers = [peer for name, peer in all_peers().items() if name in given["peers"]]
    with tempfile.TemporaryDirectory(prefix="postmill-peers-") as temporary:
        cache = (given["cache"] or Path(temporary)).absolute()
        document = run(peers, given["only"], options, cache, [sys.executable, *given["python"]], given["url"])
    text = json.dumps(document, indent=1)
    if given["json"]:
        given["json"].write_text(text + "\n")
    else:
        print(text)
    if given["page"]:
        page.write(json.loads(text))


def _parser() -> argparse.ArgumentParser:
    known = list(all_peers())
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    add = parser.add_argument
    add("--peers", type=_some_of(known), default=known, help=",".join(known))
    add("--only", type=_some_of(MEASUREMENTS), default=MEASUREMENTS, help=",".join(MEASUREMENTS))
    add("--cache", type=Path, help="keep the peers' environments here (default: a temporary folder)")
    add("--python", action="append", default=[], help="a newer Python, for peers that need one")
    add("--url", help="a server on which databases may be made (default: an embedded one)")
    add("--json", type=Path, help="write the document here (default: stdout)")
    add("--page", action="store_true", help="write the page and its plots too (needs matplotlib)")
    for name, default in asdict(Options()).items():
        add(f"--{name.replace('_', '-')}", type=type(default), default=default, help=f"default {default}")
    return parser


def _some_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return names

    return parse


if __name__ == "__main__":
    main()
