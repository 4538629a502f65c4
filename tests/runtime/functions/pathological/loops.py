"""Never gives the event loop a turn, in two ways: Python code, and C code that lets no other thread run."""

import re


async def spin():
    while True:
        pass


async def backtrack():
    re.match(r"(a+)+$", "a" * 60 + "b")


async def handler(request):
    match request.query_params.get("way"):
        case "spin":
            await spin()
        case "backtrack":
            await backtrack()
    return "free"
