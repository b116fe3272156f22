"""A FastAPI application as teams write them: a handler that fails on some inputs, with no words for it."""

from fastapi import FastAPI, Request

app = FastAPI()


@app.post("/invocations")
async def invocations(request: Request):
    """Fails on a negative number, as a square root would."""
    value = (await request.json())["inputs"][0][0]
    if value < 0:
        raise ValueError("math domain error")
    return {"predictions": [1]}
