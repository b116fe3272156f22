"""A Flask exporter as teams write it for a model server without metrics: `exporter.py PORT http://MODEL`."""

import sys
import time

import requests
from flask import Flask, Response, request
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from waitress import serve

PORT, MODEL = sys.argv[1:]

app = Flask(__name__)
requests_total = Counter("http_requests_total", "Requests.", ["method", "code"])
duration = Histogram("http_request_duration_seconds", "Seconds from the request to the answer.")
predictions_total = Counter("model_predictions_total", "Predictions.", ["prediction"])


@app.post("/invocations")
def invocations():
    began = time.perf_counter()
    answer = requests.post(f"{MODEL}/invocations", json=request.get_json(), timeout=60)
    if answer.ok:
        for prediction in answer.json()["predictions"]:
            predictions_total.labels(prediction).inc()
    requests_total.labels(request.method, answer.status_code).inc()
    duration.observe(time.perf_counter() - began)
    return Response(answer.content, answer.status_code, content_type=answer.headers["Content-Type"])


@app.get("/metrics")
def metrics():
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)


# More connections than the usual 100 are taken at a time, or most of the benchmark's would never be answered.
serve(app, host="127.0.0.1", port=int(PORT), connection_limit=1000)
