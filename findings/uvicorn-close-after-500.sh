#!/usr/bin/env bash
# uvicorn 0.54.0 and Starlette 1.10.0 (FastAPI 0.165.0): after a handler raised, the 500 is whole, bears a Content-Length and
# no `Connection: close`, and then the server closes the connection. HTTP/1.1 lets a proxy keep such a connection and send the
# next request on it: that one is lost, though it was good. MLflow, MLServer, KServe and BentoML stand on the same two.
#
# Seen:
#   200, no Connection header; then the connection stays open
#   500, no Connection header; then the connection is closed
set -euo pipefail

folder=$(mktemp -d)
server=
clean_up() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap clean_up EXIT

python3 -m venv "$folder/venv"
python=$folder/venv/bin/python
"$python" -m pip --quiet --disable-pip-version-check install fastapi==0.165.0 starlette==1.10.0 uvicorn==0.54.0 h11==0.16.0

cat >"$folder/app.py" <<'PYTHON'
from fastapi import FastAPI

app = FastAPI()


@app.post("/predict")
def predict(customer: dict):
    return {"prediction": {3: "churn", 20: "stay"}[customer["tenure"]]}
PYTHON
cat >"$folder/ask.py" <<'PYTHON'
"""Sends one request, reads its whole answer, and sees whether the connection stays."""

import http.client
import select
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
connection.request("POST", "/predict", '{"tenure": %s}' % sys.argv[2], {"Content-Type": "application/json"})
answer = connection.getresponse()
answer.read()
said = answer.getheader("Connection")
# A socket that can be read without another request is at its end.
readable, _, _ = select.select([connection.sock], [], [], 2)
closed = bool(readable) and connection.sock.recv(1) == b""
print(f"{answer.status}, {f'Connection: {said}' if said else 'no Connection header'}; then the connection {'is closed' if closed else 'stays open'}")
PYTHON

port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$python" -m uvicorn --app-dir "$folder" --host 127.0.0.1 --port "$port" --http h11 --log-level critical app:app >"$folder/log" 2>&1 &
server=$!
for _ in $(seq 300); do
    curl --silent --fail --output "$folder/ready" "http://127.0.0.1:$port/openapi.json" && break
    kill -0 "$server" || { cat "$folder/log" && exit 1; }
    sleep 1
done

seen=$(for tenure in 3 7; do "$python" "$folder/ask.py" "$port" "$tenure"; done)
echo "$seen"
[ "$seen" = "200, no Connection header; then the connection stays open
500, no Connection header; then the connection is closed" ]
