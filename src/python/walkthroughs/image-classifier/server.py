import joblib
import numpy
from flask import Flask, jsonify, request

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]

app = Flask(__name__)
model = joblib.load("model.joblib")


@app.get("/health")
def health():
    return "ok"


@app.post("/predict")
def predict():
    pictures = numpy.asarray(request.get_json()["images"], dtype=float).reshape(-1, 64)
    rows = model.predict_proba(pictures)
    return jsonify(predictions=[{"label": NAMES[row.argmax()], "score": float(row.max())} for row in rows])


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000)
