"""Makes a small copy of a picture. What is no picture raises, and the call fails.

curl $URL/resize -H "apikey: $KEY" -d '{"folder": "/tmp/pictures", "number": 1, "width": 160}'
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from starlette.requests import Request


async def handler(request: Request) -> dict[str, str]:
    """Called once a picture and width."""
    return await asyncio.to_thread(resize, **await request.json())


def resize(folder: str, number: int, width: int) -> dict[str, str]:
    with Image.open(Path(folder) / f"{number:03}.png") as picture:
        small = picture.resize((width, picture.height * width // picture.width), Image.Resampling.LANCZOS)
    file = Path(folder) / f"{number:03}-{width}.png"
    small.save(file)
    return {"file": str(file)}
