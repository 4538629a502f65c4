"""Calls functions with supabase-py, one case a line of standard input, and prints what it was given.

Runs in an environment of its own, with one version of that client; imports nothing of this project.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from importlib import import_module
from typing import Any

supabase: Any = import_module("supabase")  # where this runs it is there; where it is checked it is not


def shown(data: Any) -> Any:
    """Bytes as text; the rest as it is."""
    return data.decode() if isinstance(data, bytes) else data


def failure(error: Exception) -> dict[str, Any]:
    """What a caller can find out about an error."""
    return {
        "name": type(error).__name__,
        "message": str(getattr(error, "message", error)),
        "status": getattr(error, "status", None),
    }


def synchronous(case: dict[str, Any]) -> Any:
    client = supabase.create_client(os.environ["URL"], os.environ["KEY"])
    return client.functions.invoke(case["name"], invoke_options=case.get("options", {}))


async def asynchronous(case: dict[str, Any]) -> Any:
    client = await supabase.create_async_client(os.environ["URL"], os.environ["KEY"])
    return await client.functions.invoke(case["name"], invoke_options=case.get("options", {}))


def main() -> None:
    """One answer a line."""
    for line in sys.stdin:
        case = json.loads(line)
        try:
            data = asyncio.run(asynchronous(case)) if case.get("async") else synchronous(case)
            answer: dict[str, Any] = {"data": shown(data), "error": None}
        except Exception as error:
            answer = {"data": None, "error": failure(error)}
        print(json.dumps(answer), flush=True)


main()
