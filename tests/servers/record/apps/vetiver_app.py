"""vetiver: what its own predict handler makes of a scikit-learn model."""

import sys

import pandas as pd
import uvicorn
import vetiver
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsClassifier

X = pd.DataFrame({"tenure": [float(n) for n in range(1, 25)], "charges": 30.0})
LABEL = ["churn" if one < 12 else "stay" for one in X.tenure]
MODELS = {
    "class": lambda: KNeighborsClassifier(1).fit(X, LABEL),
    "number": lambda: LinearRegression().fit(X, 2.5 * X.tenure + 0.25),
}

if __name__ == "__main__":
    model = vetiver.VetiverModel(MODELS[sys.argv[1]](), "customers", prototype_data=X)
    uvicorn.run(vetiver.VetiverAPI(model).app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
