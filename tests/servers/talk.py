"""A client of echoing.py: exits with 0 when all came back as it was sent, and the end came as it should."""

import sys

from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect


def main(url, stays):
    """Talks, and with `stays` waits until it is cut off."""
    with connect(url, subprotocols=["chat"], max_size=None) as socket:
        assert socket.subprotocol == "chat", socket.subprotocol
        for size in (0, 1, 125, 126, 65535, 65536, 1_000_000):
            for message in ("é" * size, b"\x00\xff" * size):
                socket.send(message)
                assert socket.recv(timeout=60) == message, size
        for number in range(500):
            socket.send(str(number))
        assert [socket.recv(timeout=60) for _ in range(500)] == [str(number) for number in range(500)]
        if stays:
            print("talked", flush=True)
            try:
                socket.recv(timeout=60)
            except ConnectionClosedError:
                return
            raise AssertionError("it was not cut off")


main(sys.argv[1], "stays" in sys.argv)
