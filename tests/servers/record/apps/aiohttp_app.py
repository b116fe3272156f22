"""aiohttp: JSON whose type names its character set."""

import sys

from aiohttp import web


async def predict(request):
    customers = (await request.json())["customers"]
    return web.json_response({"predictions": ["churn" if one["tenure"] < 12 else "stay" for one in customers]})


async def health(request):
    return web.Response(text="ok")


app = web.Application()
app.add_routes([web.get("/health", health), web.post("/predict", predict)])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
