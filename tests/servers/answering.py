"""An ASGI application that answers every request, once it has all of its body."""


async def app(scope, receive, send):
    """Answers what MLflow's scoring server would."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"predictions": [1]}'})
