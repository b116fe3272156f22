#!/usr/bin/env bash
# MLflow 3.17.2 with statsmodels: the scoring server names a forecast by the name that statsmodels gave its Series, and
# statsmodels names only forecasts of several steps. The same ARIMA model answers `predicted_mean` for three steps and `0`
# for one, so a client or a monitor that looks for one key finds nothing as soon as the horizon changes.
#
# Seen with statsmodels 0.15.0, pandas 3.1.1:
#   3 steps -> predicted_mean
#   1 step  -> 0
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
"$python" -m pip --quiet --disable-pip-version-check install mlflow==3.17.2 fastapi==0.165.0 starlette==1.10.0 uvicorn==0.54.0 statsmodels==0.15.0 pandas==3.1.1 numpy==2.4.6

cat >"$folder/serve.py" <<'PYTHON'
import sys

import mlflow
import numpy as np
import pandas as pd
from statsmodels.tsa.arima.model import ARIMA
import uvicorn
from mlflow.pyfunc import scoring_server

series = pd.Series(100.0 + np.arange(60) * 1.5 + np.sin(np.arange(60)), index=pd.date_range("2026-01-01", periods=60))
mlflow.statsmodels.save_model(ARIMA(series, order=(1, 1, 0)).fit(), sys.argv[1], pip_requirements=["mlflow"])
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

# keys END: those of the rows of a forecast from the first day after the data to END.
keys() {
    curl --silent --header 'Content-Type: application/json' --data "{\"dataframe_records\": [{\"start\": 60, \"end\": $1}]}" \
        "http://127.0.0.1:$port/invocations" |
        "$python" -c 'import json, sys; print(*sorted({key for row in json.load(sys.stdin)["predictions"] for key in row}))'
}
three=$(keys 62)
one=$(keys 60)
echo "3 steps -> $three"
echo "1 step  -> $one"
[ "$three $one" = "predicted_mean 0" ]
