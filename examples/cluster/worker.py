"""Signs documents on a Ray cluster: each task reads many files, and reports how far it is.

A signature is a MinHash: of all runs of five words, hashed in 64 ways, the smallest hash of each way. The
share of equal numbers in two signatures estimates the share of text that two documents have in common.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from postmill import Context, RemoteContext, worker

RUN = 5  # words
PRIME = (1 << 61) - 1
_random = random.Random(61)  # the same ways on every machine
WAYS = [(_random.randrange(1, PRIME), _random.randrange(PRIME)) for _ in range(64)]


@dataclass
class Shard:
    """Documents that one task signs."""

    files: list[str]


@dataclass
class Signed:
    """One document, signed."""

    file: str
    words: int
    signature: list[int]


@worker(
    queue="signatures",
    executor="ray",
    resources={"num_cpus": 1},
    timeout=600,
    start_timeout=300,
    max_concurrent=8,
)
def sign(shard: Shard, task: RemoteContext) -> list[Signed]:
    """Runs on the cluster, which must have the files."""
    signed = []
    for done, file in enumerate(shard.files, 1):
        words = re.findall(r"\w+", Path(file).read_text(encoding="utf-8").lower())
        signed.append(Signed(file, len(words), signature_of(words)))
        task.progress(done / len(shard.files), file)
    return signed


def signature_of(words: list[str]) -> list[int]:
    """The MinHash of a text."""
    runs = {" ".join(words[at : at + RUN]) for at in range(max(1, len(words) - RUN + 1))}
    hashes = [int.from_bytes(blake2b(run.encode(), digest_size=7).digest()) for run in runs]
    return [min((a * value + b) % PRIME for value in hashes) for a, b in WAYS]


@sign.finish
async def record(_shard: Shard, signed: list[Signed], ctx: Context) -> None:
    """Runs in the worker: all signatures of a shard and the completion of its message, or none."""
    async with ctx.transaction() as tx:
        await tx.executemany(
            """insert into public.signatures values ($1, $2, $3)
               on conflict (file) do update set words = excluded.words, signature = excluded.signature""",
            [(each.file, each.words, each.signature) for each in signed],
        )
