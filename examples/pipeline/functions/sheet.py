"""Puts the small copies that are there on one sheet.

curl $URL/sheet -H "apikey: $KEY" -d '{"folder": "/tmp/pictures", "width": 160, "name": "all"}'
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from starlette.requests import Request

COLUMNS = 4


async def handler(request: Request) -> dict[str, str | int]:
    """Called once a sheet."""
    return await asyncio.to_thread(sheet, **await request.json())


def sheet(folder: str, width: int, name: str) -> dict[str, str | int]:
    small = [Image.open(file) for file in sorted(Path(folder).glob(f"[0-9][0-9][0-9]-{width}.png"))]
    height = max(picture.height for picture in small)
    whole = Image.new("RGB", (COLUMNS * width, -(-len(small) // COLUMNS) * height), "white")
    for place, picture in enumerate(small):
        with picture:
            whole.paste(picture, (place % COLUMNS * width, place // COLUMNS * height))
    file = Path(folder) / f"{name}.png"
    whole.save(file)
    return {"file": str(file), "pictures": len(small)}
