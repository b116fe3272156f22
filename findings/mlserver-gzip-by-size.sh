#!/usr/bin/env bash
# MLServer 1.7.1 compresses answers above 500 bytes for clients that accept gzip, as most HTTP libraries do by themselves.
# What reads a copy of the answers beside it (a metrics sidecar, a payload logger) sees JSON in every test with a few rows,
# and gzip in production's batches: the same model, route and client.
#
# Seen:
#   3 rows: no Content-Encoding
#   300 rows: gzip
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
"$python" -m pip --quiet --disable-pip-version-check install mlserver==1.7.1 fastapi==0.115.14 starlette==0.46.2 uvicorn==0.54.0 numpy==2.4.6

cat >"$folder/customers.py" <<'PYTHON'
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceResponse


class Customers(MLModel):
    async def predict(self, payload):
        labels = ["churn" if one < 12 else "stay" for one in NumpyCodec.decode_input(payload.inputs[0]).reshape(-1)]
        return InferenceResponse(model_name=self.name, outputs=[StringCodec.encode_output("predict", labels)])
PYTHON
echo '{"name": "customers", "implementation": "customers.Customers"}' >"$folder/model-settings.json"

port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export MLSERVER_HOST=127.0.0.1 MLSERVER_HTTP_PORT=$port MLSERVER_GRPC_PORT=0 MLSERVER_METRICS_ENDPOINT='' MLSERVER_PARALLEL_WORKERS=0
(cd "$folder" && PYTHONPATH=$folder exec "$folder/venv/bin/mlserver" start .) >"$folder/log" 2>&1 &
server=$!
for _ in $(seq 300); do
    curl --silent --fail --output "$folder/ready" "http://127.0.0.1:$port/v2/health/ready" && break
    kill -0 "$server" || { cat "$folder/log" && exit 1; }
    sleep 1
done

# ask ROWS: the content coding of an answer for so many rows.
ask() {
    local body coding
    body=$("$python" -c 'import json, sys; n = int(sys.argv[1]); print(json.dumps({"inputs": [{"name": "tenure", "shape": [n, 1], "datatype": "FP64", "data": [3.0] * n}]}))' "$1")
    coding=$(curl --silent --output "$folder/answer" --write-out '%header{content-encoding}' --header 'Accept-Encoding: gzip' \
        --header 'Content-Type: application/json' --data "$body" "http://127.0.0.1:$port/v2/models/customers/infer")
    echo "$1 rows: ${coding:-no Content-Encoding}"
}
seen=$(ask 3 && ask 300)
echo "$seen"
[ "$seen" = "3 rows: no Content-Encoding
300 rows: gzip" ]
