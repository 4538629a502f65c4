"""Ten thousand small images through one map, with a bar: ``python -m examples.flows.images``.

Each is drawn, packed as a PNG and measured by a task of its own; the map's output is the list of sizes.
"""

from __future__ import annotations

import asyncio
import struct
import sys
import time
import zlib
from dataclasses import dataclass

from examples.flows import demo
from postmill import Flow, each

SIDE = 16


@dataclass
class Album:
    """The numbers of the images to draw."""

    numbers: list[int]


@dataclass
class Cover:
    """What came of them."""

    images: int
    bytes: int
    largest: int


album = Flow("album", input=Album, max_concurrent=200)


@album.map
async def draw(number: int = each(album.input.numbers)) -> int:
    """Draw one image; returns the size of its file."""
    return len(png(number))


@album.step
async def cover(numbers: list[int] = album.input.numbers, sizes: list[int] = draw.out) -> Cover:
    """Add up, and find the largest."""
    return Cover(len(sizes), sum(sizes), max(zip(sizes, numbers, strict=True))[1])


def png(number: int) -> bytes:
    """A picture of 16 by 16 grey pixels that no other number has."""
    rows = b"".join(b"\0" + bytes((x * y + number) % 256 for x in range(SIDE)) for y in range(SIDE))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    parts = _chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


async def main() -> None:
    """Ten thousand images, or as many as the command line says."""
    count = int(sys.argv[1]) if sys.argv[1:] else 10_000
    with demo.started("examples.flows.images:album") as shown:
        began = time.monotonic()
        run = await album.start(Album(list(range(count))))
        await shown.watch(run)
        found = await run.output(cover)
        took = time.monotonic() - began
        shown.console.print(
            f"{found.images:,} images, {found.bytes:,} bytes; the largest is {found.largest}."
        )
        shown.console.print(f"It took {took:.1f} s, {found.images / took:,.0f} images/s.")


if __name__ == "__main__":
    asyncio.run(main())
