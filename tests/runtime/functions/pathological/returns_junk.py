"""Answers with what is no answer."""

from starlette.responses import Response


class BrokenHeader(Response):
    def __init__(self):
        super().__init__("x")
        self.raw_headers = [(b"x-evil", b"a\r\nset-cookie: b")]


class BrokenProtocol(Response):
    async def __call__(self, scope, receive, send):
        await send({"type": "http.response.body", "body": b"too early"})


class Silent(Response):
    async def __call__(self, scope, receive, send):
        return


JUNK = {
    "object": object,
    "none": lambda: None,
    "header": BrokenHeader,
    "status": lambda: Response(status_code=9999),
    "protocol": BrokenProtocol,
    "silent": Silent,
    "unjson": lambda: {"set": {1, 2}},
}


async def handler(request):
    return JUNK[request.query_params["kind"]]()
