"""Whatever a handler may return or raise on purpose."""

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse


async def handler(request):
    kind = request.path_params.get("kind") or request.url.path.rpartition("/")[2]
    if kind == "dict":
        return {"a": 1}
    if kind == "list":
        return [1, 2]
    if kind == "str":
        return "text"
    if kind == "response":
        return JSONResponse({"made": True}, 201, {"x-own": "yes"})
    if kind == "teapot":
        raise HTTPException(418, "short and stout")
    if kind == "error":
        raise RuntimeError("a secret detail")
    return {"method": request.method, "query": request.url.query, "got": len(await request.body())}
