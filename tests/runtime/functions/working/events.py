"""Answers each piece of its request's body with an event, before it has seen the next one."""


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        event = b"data: " + message["body"] + b"\n\n"
        await send({"type": "http.response.body", "body": event, "more_body": more})
