import mlflow
import pandas
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modelship_profile

data = pandas.read_csv("attrition_preprocessed.csv")
X_train, X_test, y_train, y_test = train_test_split(data.drop(columns="left"), data["left"], random_state=3)


class Attrition(mlflow.pyfunc.PythonModel):
    """Answers with the probability of leaving: one number for each row."""

    def __init__(self, fitted):
        self.fitted = fitted

    def predict(self, context, model_input, params=None):
        return self.fitted.predict_proba(model_input)[:, 1]


mlflow.set_experiment("attrition")
with mlflow.start_run():
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train)
    mlflow.log_metric("roc_auc", roc_auc_score(y_test, fitted.predict_proba(X_test)[:, 1]))
    mlflow.pyfunc.log_model(
        name="model", python_model=Attrition(fitted), input_example=X_train.head(1), pip_requirements="requirements.txt"
    )
    modelship_profile.write(
        data=X_train,
        predictions=fitted.predict_proba(X_train)[:, 1],
        kind="probability",
        classes=["stay", "leave"],
        positive="leave",
        threshold=0.4,
    )
