#!/usr/bin/env bash
# MLflow 3.17.2 (FastAPI 0.165.0, uvicorn 0.54.0): a PythonModel that returns the pair (labels, probabilities), as many
# return it from predict, is served as a list of two "rows", however many rows were asked for. Whoever counts the items of
# `predictions` counts 2 for 3 rows and 2 for 100, and the first "row" is a list of labels, the second one of numbers.
#
# Seen:
#   3 rows -> 2 items: [["churn", "stay", "churn"], [[0.1, 0.9], [0.9, 0.1], [0.1, 0.9]]]
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
import uvicorn
from mlflow.pyfunc import scoring_server


class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        new = model_input["tenure"] < 12
        return ["churn" if one else "stay" for one in new], [[0.1, 0.9] if one else [0.9, 0.1] for one in new]


mlflow.pyfunc.save_model(sys.argv[1], python_model=Model(), pip_requirements=["mlflow"])
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

answer=$(curl --silent --header 'Content-Type: application/json' \
    --data '{"dataframe_split": {"columns": ["tenure"], "data": [[3.0], [20.0], [5.0]]}}' "http://127.0.0.1:$port/invocations")
seen=$("$python" -c 'import json, sys; p = json.loads(sys.argv[1])["predictions"]; print("3 rows ->", len(p), "items:", json.dumps(p))' "$answer")
echo "$seen"
[ "$seen" = '3 rows -> 2 items: [["churn", "stay", "churn"], [[0.1, 0.9], [0.9, 0.1], [0.1, 0.9]]]' ]
