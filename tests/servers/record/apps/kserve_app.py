"""KServe's Python SDK with models of one's own: v1 passes on what predict returns."""

import sys

import kserve


def label(instance):
    return "churn" if instance["tenure"] < 12 else "stay"


class Wrapped(kserve.Model):
    def __init__(self, name):
        super().__init__(name)
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        if isinstance(payload, kserve.InferRequest):
            tenures = payload.inputs[0].as_numpy().flatten().tolist()
            outputs = [
                kserve.InferOutput("predict", [len(tenures)], "BYTES", data=[label({"tenure": one}) for one in tenures])
            ]
            return kserve.InferResponse(payload.id or "1", self.name, outputs)
        return {"predictions": [label(one) for one in payload["instances"]]}


class Bare(Wrapped):
    def predict(self, payload, headers=None, response_headers=None):
        return [label(one) for one in payload["instances"]]


class Numbers(Wrapped):
    def predict(self, payload, headers=None, response_headers=None):
        return {"predictions": [0.5 + one["tenure"] for one in payload["instances"]]}


if __name__ == "__main__":
    server = kserve.ModelServer(http_port=int(sys.argv[1]), enable_grpc=False, workers=1)
    server.start([Wrapped("wrapped"), Bare("bare"), Numbers("numbers")])
