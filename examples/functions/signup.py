"""Answers at once and goes on working, with ``wait_until``; and hands over to a queue what must not be lost.

curl $URL/signup -H "apikey: $KEY" -d '{"email": "ada@example.com"}'
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from postmill import AsyncClient, on_beforeunload, wait_until

if TYPE_CHECKING:
    from starlette.requests import Request


mail = AsyncClient(os.environ["POSTMILL_DB_URL"])
"""Connects at its first use."""


@on_beforeunload
def say(reason: str) -> None:
    """The process will end soon."""
    print(f"ending: {reason}")


async def count_visitor(email: str) -> None:
    """Nice to have: lost if the machine burns down right now."""
    await asyncio.sleep(0.1)
    print(f"counted {email}")


async def handler(request: Request) -> JSONResponse:
    """The caller waits for neither the counter nor the mail."""
    try:
        email = (await request.json())["email"]
    except (ValueError, KeyError, TypeError):
        return JSONResponse({"error": 'what is wanted is {"email": "..."}'}, status_code=400)
    wait_until(count_visitor(email))
    msg_id = await mail.send("mail", {"to": email, "subject": "Welcome!"})  # in the database before we answer
    return JSONResponse({"status": "accepted", "mail": msg_id}, status_code=202)
