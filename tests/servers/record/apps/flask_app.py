"""Flask as teams write it."""

import codecs
import json

from flask import Flask, Response, jsonify, request

app = Flask(__name__)


def label(one):
    return "churn" if one["tenure"] < 12 else "stay"


@app.get("/health")
def health():
    return "ok"


@app.post("/predict")
def predict():
    return jsonify({"prediction": [label(one) for one in request.get_json()["customers"]]})


@app.post("/text")
def text():
    """JSON without its type: Flask calls a text text/html."""
    return json.dumps({"predictions": [label(one) for one in request.get_json()["customers"]]})


@app.post("/bare")
def bare():
    return label(request.get_json()["customers"][0])


@app.post("/marked")
def marked():
    """With a byte-order mark, as .NET's encoders write it."""
    predictions = [label(one) for one in request.get_json()["customers"]]
    return Response(codecs.BOM_UTF8 + json.dumps({"predictions": predictions}).encode(), content_type="application/json")


@app.post("/form")
def form():
    goes = float(request.form["tenure"]) < 12
    return f"<!doctype html><title>Customers</title><p>The customer will {'go' if goes else 'stay'}.</p>"


@app.post("/raises")
def raises():
    return jsonify({"prediction": ["churn" if 1 / one["tenure"] > 1 / 12 else "stay" for one in request.get_json()["customers"]]})
