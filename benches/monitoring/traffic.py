"""A model on the loopback, and clients that ask it for ever new paths, methods and classes."""

import asyncio
import json

CONNECTIONS = 8


class Peer(asyncio.Protocol):
    """Either end of a connection: whole messages, with Content-Length."""

    def connection_made(self, transport):
        self.transport, self.buffer = transport, b""

    def data_received(self, data):
        self.buffer += data
        while True:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            length = 0
            for line in head.split(b"\r\n")[1:]:
                field, _, value = line.partition(b":")
                if field.lower() == b"content-length":
                    length = int(value)
            if len(rest) < length:
                return
            body, self.buffer = rest[:length], rest[length:]
            self.message(head.split(b"\r\n", 1)[0].decode(), body)


class Model(Peer):
    """Predicts the class that it is asked for, and knows no other path."""

    def message(self, first, body):
        method, path, _ = first.split()
        if path == "/invocations" and method == "POST":
            status, answer = "200 OK", json.dumps({"predictions": json.loads(body)["inputs"]})
        elif path == "/ping":
            status, answer = "200 OK", "\n"
        else:
            status, answer = "404 Not Found", "{}"
        self.transport.write(
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n{answer}".encode()
        )


class Client(Peer):
    """Asks again as soon as it is answered, until `numbers` is empty."""

    def __init__(self, numbers, done):
        self.numbers, self.done = numbers, done

    def connection_made(self, transport):
        super().connection_made(transport)
        self.ask()

    def ask(self):
        number = next(self.numbers, None)
        if number is None:
            self.done.done() or self.done.set_result(None)
            self.transport.close()
        else:
            self.transport.write(request(number))

    def message(self, first, body):
        status = first.split()[1]
        if status not in ("200", "404"):
            self.fail(f"answered {first!r}: {body[:200]!r}")
        else:
            self.ask()

    def connection_lost(self, error):
        self.fail(f"the connection ended: {error}")

    def fail(self, message):
        if not self.done.done():
            self.done.set_exception(RuntimeError(message))


def request(number):
    """Half of them predictions of a class of its own each; of the rest every path is another, and some methods too."""
    if number % 2 == 0:
        # One of the declared classes is among the rows, so that their counters move too.
        rows = [f"class-{number}", str(number // 2 % 3)]
        method, path, body = "POST", "/invocations", json.dumps({"inputs": rows})
    else:
        method, path, body = (f"M{number}" if number % 10 == 1 else "GET"), f"/users/{number}/avatar", ""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: model\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def model(port):
    return await asyncio.get_running_loop().create_server(Model, "127.0.0.1", port)


async def send(port, numbers, seconds):
    """All of these requests, or an error when they are not answered within so many seconds."""
    loop, numbers = asyncio.get_running_loop(), iter(numbers)
    ends = [loop.create_future() for _ in range(CONNECTIONS)]
    for end in ends:
        await loop.create_connection(lambda end=end: Client(numbers, end), "127.0.0.1", port)
    await asyncio.wait_for(asyncio.gather(*ends), seconds)
