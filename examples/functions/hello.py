"""The smallest function: JSON in, JSON out.

curl $URL/hello -H "apikey: $KEY" -d '{"name": "Ada"}'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.requests import Request


async def handler(request: Request) -> JSONResponse | dict[str, str]:
    """A dict becomes a JSON response; a Response says everything else itself."""
    try:
        payload = await request.json() if await request.body() else {}
    except ValueError:
        return JSONResponse({"error": "the body is not JSON"}, status_code=400)
    return {"message": f"Hello, {payload.get('name', 'world')}!"}
