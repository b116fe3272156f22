#!/usr/bin/env bash
# MLflow 3.17.2 (FastAPI 0.165.0, uvicorn 0.54.0): the scoring server's statuses are the other way round from HTTP's. When the
# model's own code raises for a row that fits its signature, the answer is 400, a client's error; when the client leaves out
# Content-Type, it is 500 without a word. An alert on 5xx misses a model that fails for everybody, and fires for one client.
#
# Seen:
#   the model raises for a valid row: 400
#   the client sends no Content-Type: 500
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
"$python" -m pip --quiet --disable-pip-version-check install mlflow==3.17.2 fastapi==0.165.0 starlette==1.10.0 uvicorn==0.54.0 pandas==3.1.1 numpy==2.4.6

cat >"$folder/serve.py" <<'PYTHON'
import sys

import mlflow
import pandas as pd
import uvicorn
from mlflow.pyfunc import scoring_server


class Model(mlflow.pyfunc.PythonModel):
    """Its table of rates was forgotten: no row can be predicted."""

    rates = {}

    def predict(self, context, model_input, params=None):
        return [self.rates["standard"] * one for one in model_input["tenure"]]


signature = mlflow.models.infer_signature(pd.DataFrame({"tenure": [1.0]}))
mlflow.pyfunc.save_model(sys.argv[1], python_model=Model(), signature=signature, pip_requirements=["mlflow"])
# What `mlflow models serve` runs, in one process.
uvicorn.run(scoring_server.init(mlflow.pyfunc.load_model(sys.argv[1])), host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
PYTHON
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$python" "$folder/serve.py" "$folder/model" "$port" >"$folder/log" 2>&1 &
server=$!
for _ in $(seq 300); do
    curl --silent --fail --output "$folder/ready" "http://127.0.0.1:$port/ping" && break
    kill -0 "$server" || { cat "$folder/log" && exit 1; }
    sleep 1
done

# ask HEADER: the status of a request for one valid row.
ask() {
    curl --silent --output "$folder/answer" --write-out '%{http_code}' --header "$1" \
        --data '{"dataframe_split": {"columns": ["tenure"], "data": [[3.0]]}}' "http://127.0.0.1:$port/invocations"
}
raised=$(ask 'Content-Type: application/json')
# A header without a value is left out by curl.
untyped=$(ask 'Content-Type:')
echo "the model raises for a valid row: $raised"
echo "the client sends no Content-Type: $untyped"
[ "$raised $untyped" = "400 500" ]
