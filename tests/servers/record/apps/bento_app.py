"""BentoML: what a method returns is the whole answer."""

import bentoml
import numpy as np
import pandas as pd


def label(tenure):
    return "churn" if tenure < 12 else "stay"


@bentoml.service
class Customers:
    @bentoml.api
    def text(self, tenure: float) -> str:
        return label(tenure)

    @bentoml.api
    def labels(self, tenures: list[float]) -> list[str]:
        return [label(one) for one in tenures]

    @bentoml.api
    def number(self, tenure: float) -> float:
        return 2.5 * tenure + 0.25

    @bentoml.api
    def array(self, tenures: np.ndarray) -> np.ndarray:
        return np.where(tenures < 12, 1, 0)

    @bentoml.api
    def probabilities(self, tenures: np.ndarray) -> np.ndarray:
        p = np.where(tenures < 12, 0.9, 0.1)
        return np.stack([1 - p, p], axis=1)

    @bentoml.api
    def frame(self, tenures: list[float]) -> pd.DataFrame:
        return pd.DataFrame({"label": [label(one) for one in tenures], "score": [0.9 for _ in tenures]})

    @bentoml.api
    def record(self, tenure: float) -> dict:
        return {"prediction": label(tenure), "model": "customers"}

    @bentoml.api
    def raises(self, tenure: float) -> dict:
        return {"prediction": "churn" if 1 / tenure > 1 / 12 else "stay"}
