"""FastAPI as teams write it: one route for each habit. Customers of less than a year go, nine times of ten."""

import json

from fastapi import FastAPI, HTTPException
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

app = FastAPI()
gzipped = FastAPI()
gzipped.add_middleware(GZipMiddleware, minimum_size=500)


class Customer(BaseModel):
    tenure: float
    charges: float = 30.0


class Batch(BaseModel):
    customers: list[Customer]


class Feedback(BaseModel):
    right: bool


def label(one):
    return "churn" if one.tenure < 12 else "stay"


def probability(one):
    return 0.9 if one.tenure < 12 else 0.1


@app.get("/health")
@gzipped.get("/health")
def health():
    return {"status": "ok"}


@app.post("/predict")
def predict(one: Customer):
    return {"prediction": label(one)}


@app.post("/predict/batch")
@gzipped.post("/predict/batch")
def batch(many: Batch):
    return {"predictions": [label(one) for one in many.customers]}


@app.post("/created", status_code=201)
def created(one: Customer):
    return {"prediction": label(one)}


@app.post("/bare/text")
def bare_text(one: Customer):
    return "yes" if one.tenure < 12 else "no"


@app.post("/bare/boolean")
def bare_boolean(one: Customer):
    return one.tenure < 12


@app.post("/bare/number")
def bare_number(one: Customer):
    return one.tenure * 2.5 + 0.25


@app.post("/bare/list")
def bare_list(many: Batch):
    return [label(one) for one in many.customers]


@app.post("/beside-a-list")
def beside_a_list(one: Customer):
    return {"predictions": [label(one)], "probability": probability(one)}


@app.post("/named")
def named(one: Customer):
    return {"churn_probability": probability(one)}


@app.post("/confident")
def confident(one: Customer):
    p = probability(one)
    return {"label": label(one), "confidence": max(p, 1 - p)}


@app.post("/wrapped")
def wrapped(one: Customer):
    return {"status": "success", "data": {"prediction": label(one)}}


@app.post("/by-class")
def by_class(one: Customer):
    p = probability(one)
    return {"prediction": label(one), "probabilities": {"churn": p, "stay": 1 - p}}


@app.post("/price")
def price(one: Customer):
    """Whole for some rows, and an int as Python prints it."""
    worth = one.tenure * one.charges
    return {"prediction": int(worth) if worth == int(worth) else worth}


@app.get("/predict")
@app.get("/asked")
def asked(tenure: float):
    return {"prediction": label(Customer(tenure=tenure))}


@app.post("/polite")
def polite(one: Customer):
    """An error that is told with 200, as many do."""
    try:
        return {"prediction": ["churn", "stay"][[True, False].index(one.tenure < 12 if one.tenure >= 0 else None)]}
    except ValueError as error:
        return {"error": str(error)}


@app.post("/raises")
def raises(one: Customer):
    if one.tenure < 0:
        raise ValueError("a tenure below 0")
    if one.charges < 0:
        raise HTTPException(400, "charges must not be below 0")
    return {"prediction": label(one)}


@app.post("/feedback")
def feedback(one: Feedback):
    return {"result": "ok"}


@app.post("/login")
def login(one: Feedback):
    return one.right


@app.post("/token")
def token(one: Feedback):
    return {"access_token": "abc", "token_type": "bearer"}


@app.post("/objects")
def objects(many: Batch):
    return {"predictions": [{"class": label(one), "score": probability(one)} for one in many.customers]}


@app.post("/code")
def code(one: Customer):
    """The commonest of tutorials: a text of the class' number, and how sure the model is, as a text."""
    p = probability(one)
    return {"prediction": str(int(p > 0.5)), "confidence": f"{100 * max(p, 1 - p):.1f}%"}


@app.post("/sentence")
def sentence(one: Customer):
    return {"result": "The customer will leave" if one.tenure < 12 else "The customer will stay", "tenure": one.tenure}


@app.post("/output")
def output(one: Customer):
    return {"output": {"label": label(one), "probability": probability(one)}, "latency_ms": 1.25}


@app.post("/ranked")
def ranked(one: Customer):
    p = probability(one)
    found = [{"label": "churn", "score": p}, {"label": "stay", "score": 1 - p}]
    return sorted(found, key=lambda one: -one["score"])


@app.post("/amount")
def amount(one: Customer):
    """Decimals are written as texts, so that none is rounded."""
    return {"predicted_amount": f"{one.tenure * 2.5 + 0.25:.2f}"}


@app.post("/with-features")
def with_features(one: Customer):
    """What was asked comes back beside the answer."""
    return {"input": one.model_dump(), "prediction": int(one.tenure < 12), "model_version": 3}


@app.post("/lines")
def lines(many: Batch):
    """One JSON text a line, as streams are written."""
    said = (json.dumps({"prediction": label(one)}) + "\n" for one in many.customers)
    return StreamingResponse(said, media_type="application/x-ndjson")


@app.post("/found")
def found(one: Customer):
    """What was found in one text, as transformers' pipelines say it."""
    things = ["PER", "LOC", "PER"] if one.tenure < 12 else ["LOC", "ORG"]
    return [{"entity_group": thing, "score": 0.9, "word": "x", "start": at, "end": at + 1} for at, thing in enumerate(things)]


@app.post("/sure")
def sure(one: Customer):
    """A class under a name of its own, and how sure the model is of it."""
    p = probability(one)
    return {"decision": label(one), "score": max(p, 1 - p)}


@app.post("/two-figures")
def two_figures(one: Customer):
    return {"value": one.tenure / 100, "growth": one.charges / 100}


@app.post("/quantiles")
def quantiles(many: Batch):
    """They add up to 1, as chance has it."""
    return {"predictions": [{"0.1": 0.2, "0.5": 0.3, "0.9": 0.5} for _ in many.customers]}


@app.post("/dumped-rows")
def dumped_rows(many: Batch):
    """json.dumps for each row, and FastAPI's once more around all."""
    return {"predictions": [json.dumps({"label": label(one), "score": probability(one)}) for one in many.customers]}
