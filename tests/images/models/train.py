"""Trains the demo's credit-scoring model and saves it the way MLflow users do.

Usage: train.py VARIANT OUTPUT_DIR      (VARIANT is v1, v2 or v2.20)

The applications are drawn from a seeded generator, so that a variant is the same model on every machine. v2 was
trained on a later year, in which the bank had begun to count late payments: it declines the example that v1 approves. v2.20 is v1 in
the words of MLflow 2.20.
"""

import json
import pathlib
import shutil
import sys

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.ensemble import RandomForestClassifier

# What the demo asks both versions: a good income, a modest loan, and five late payments.
EXAMPLE = pd.DataFrame(
    {"income": [5200.0], "loan": [9000.0], "years_employed": [6.0], "late_payments": [5.0]}
)

# How much one late payment weighs against an applicant in the year a variant learned from.
LATE_PAYMENT_WEIGHT = {"v1": 0.0, "v2": 1.2, "v2.20": 0.0}


def applications(variant: str, rows: int = 4000) -> tuple[pd.DataFrame, pd.Series]:
    """Draws past applications and what the bank decided: `rows` of four numbers, and "approve" or "decline" for each."""
    rng = np.random.default_rng(seed=20)
    past = pd.DataFrame(
        {
            "income": rng.gamma(4.0, 1000.0, rows),
            "loan": rng.gamma(3.0, 4000.0, rows),
            "years_employed": rng.uniform(0.0, 30.0, rows),
            "late_payments": rng.poisson(2.0, rows).astype(float),
        }
    )
    score = (
        past["income"] / 1500.0
        - past["loan"] / 8000.0
        + past["years_employed"] / 12.0
        - LATE_PAYMENT_WEIGHT[variant] * past["late_payments"]
        + rng.normal(0.0, 0.3, rows)
    )
    return past, pd.Series(np.where(score > 0.5, "approve", "decline"))


def main(variant: str, output: pathlib.Path) -> None:
    past, decision = applications(variant)
    model = RandomForestClassifier(n_estimators=50, max_depth=6, random_state=0).fit(past, decision)

    shutil.rmtree(output, ignore_errors=True)
    mlflow.sklearn.save_model(
        model,
        path=str(output),
        serialization_format="cloudpickle",
        signature=infer_signature(EXAMPLE, model.predict(EXAMPLE)),
        input_example=EXAMPLE,
        # Named here because asking MLflow to infer them loads the model in another process.
        pip_requirements=[f"mlflow-skinny=={mlflow.__version__}", "scikit-learn", "pandas"],
    )
    answer = mlflow.pyfunc.load_model(str(output)).predict(EXAMPLE)
    print(json.dumps({"variant": variant, "example": EXAMPLE.to_dict("records")[0], "prediction": list(answer)}))


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in LATE_PAYMENT_WEIGHT:
        sys.exit(__doc__)
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
