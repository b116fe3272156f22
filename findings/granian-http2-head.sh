#!/usr/bin/env bash
# granian 2.8.9 with an ASGI application, HTTP/2 by prior knowledge: an answer to HEAD carries the application's body in DATA
# frames, which HTTP forbids (RFC 9110, 9.3.2), and h2 4.4.1 (by httpx 0.28.1) gives the whole connection up for it. Over
# HTTP/1.1 granian leaves the body out, and hypercorn 0.18.0 does in both. Applications need not look at the method: ASGI
# servers leave the body out for them. A load balancer that asks by HEAD whether a model server lives sees a broken one.
#
# Seen:
#   granian HTTP/1.1: 200
#   granian HTTP/2: LocalProtocolError
#   hypercorn HTTP/1.1: 200
#   hypercorn HTTP/2: 200
set -euo pipefail

folder=$(mktemp -d)
server=
stop() {
    [ -n "$server" ] || return 0
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}
trap 'stop; rm -rf "$folder"' EXIT

python3 -m venv "$folder/venv"
bin=$folder/venv/bin
"$bin/python" -m pip --quiet --disable-pip-version-check install granian==2.8.9 hypercorn==0.18.0 'httpx[http2]==0.28.1' h2==4.4.1

cat >"$folder/answering.py" <<'PYTHON'
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b'{"predictions": [1.0]}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
PYTHON
cat >"$folder/ask.py" <<'PYTHON'
import sys

import httpx

name, port = sys.argv[1:]
for version, one, two in [("HTTP/1.1", True, False), ("HTTP/2", False, True)]:
    with httpx.Client(http1=one, http2=two, timeout=20) as client:
        try:
            said = client.head(f"http://127.0.0.1:{port}/").status_code
        except httpx.HTTPError as error:
            said = type(error).__name__
    print(f"{name} {version}: {said}")
PYTHON

cd "$folder"
for name in granian hypercorn; do
    port=$("$bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    case $name in
    granian) "$bin/granian" --interface asgi --host 127.0.0.1 --port "$port" answering:app >"$folder/log" 2>&1 & ;;
    hypercorn) "$bin/hypercorn" --bind "127.0.0.1:$port" answering:app >"$folder/log" 2>&1 & ;;
    esac
    server=$!
    for _ in $(seq 60); do
        curl --silent --fail --output "$folder/ready" "http://127.0.0.1:$port/" && break
        kill -0 "$server" || { cat "$folder/log" && exit 1; }
        sleep 1
    done
    "$bin/python" ask.py "$name" "$port" | tee -a "$folder/seen"
    stop
done
diff "$folder/seen" - <<'SEEN'
granian HTTP/1.1: 200
granian HTTP/2: LocalProtocolError
hypercorn HTTP/1.1: 200
hypercorn HTTP/2: 200
SEEN
