"""Draws a picture and stores it in a folder. Every seventh camera is broken: its file is no picture.

curl $URL/draw -H "apikey: $KEY" -d '{"folder": "/tmp/pictures", "number": 1}'
"""

from __future__ import annotations

import asyncio
import colorsys
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from starlette.requests import Request

SIZE = (960, 640)
BROKEN = 7


async def handler(request: Request) -> dict[str, str]:
    """Called once a picture. Work that takes the processor goes into a thread."""
    return await asyncio.to_thread(draw, **await request.json())


def draw(folder: str, number: int) -> dict[str, str]:
    file = Path(folder) / f"{number:03}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    if number % BROKEN == 0:
        file.write_text("the camera was broken")
    else:
        _picture(number).save(file)
    return {"file": str(file)}


def _picture(number: int) -> Image.Image:
    light, dark = (_colour(number * 0.17 % 1, brightness) for brightness in (0.9, 0.4))
    picture = Image.new("RGB", SIZE, light)
    drawing = ImageDraw.Draw(picture)
    for ring in range(0, 300, 60):
        drawing.ellipse((480 - ring, 320 - ring, 480 + ring, 320 + ring), outline=dark, width=12)
    drawing.text((20, 20), f"picture {number}", fill=dark)
    return picture


def _colour(hue: float, brightness: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.6, brightness)
    return int(255 * red), int(255 * green), int(255 * blue)
