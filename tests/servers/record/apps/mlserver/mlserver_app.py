"""MLServer with a runtime of one's own: labels, and the probabilities beside them if they are asked for."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Customers(MLModel):
    async def load(self):
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        tenures = NumpyCodec.decode_input(payload.inputs[0]).reshape(-1)
        labels = [("churn" if 1 / one > 1 / 12 else "stay") for one in tenures.tolist()]
        p = np.where(tenures < 12, 0.9, 0.1)
        outputs = {
            "predict": lambda: StringCodec.encode_output("predict", labels),
            "predict_proba": lambda: NumpyCodec.encode_output("predict_proba", np.stack([p, 1 - p], axis=1)),
            "value": lambda: NumpyCodec.encode_output("value", 2.5 * tenures),
        }
        asked = [output.name for output in payload.outputs or []] or ["predict"]
        return InferenceResponse(model_name=self.name, outputs=[outputs[name]() for name in asked])
