"""Send the documents of a folder in shards, run the worker until all are signed, and show which are alike."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from examples.cluster.worker import Shard, sign
from postmill import Client, PostmillError, app

HERE = Path(__file__).parent


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m examples.cluster", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the documents are; the cluster must see it too")
    parser.add_argument("--pattern", default="*.md", help="which files (default: *.md)")
    parser.add_argument("--shard", type=int, default=20, help="documents a task (default: 20)")
    given = parser.parse_args()
    files = sorted(str(path.resolve()) for path in given.folder.rglob(given.pattern))
    try:
        return _sign(files, given.shard)
    except PostmillError as error:
        print(error, file=sys.stderr)
        return 1


def _sign(files: list[str], size: int) -> int:
    settings = app.load_settings({})
    with app.connection(settings) as connection, Client(connection) as client:
        connection.execute((HERE / "schema.sql").read_text(encoding="utf-8"))
        client.create_queue(sign.queue)
        shards = [Shard(files[at : at + size]) for at in range(0, len(files), size)]
        client.send_many(sign, shards)
        print(f"{len(files)} documents in {len(shards)} shards.", flush=True)
        worker = "postmill", "worker", "run", "examples.cluster.worker:sign", "--until-empty"
        ended = subprocess.run([str(Path(sys.executable).with_name(worker[0])), *worker[1:]], check=False)
        for row in connection.execute((HERE / "alike.sql").read_text(encoding="utf-8")).fetchall():
            print(row["alike"], *(Path(row[name]).name for name in ("one", "other")))
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
