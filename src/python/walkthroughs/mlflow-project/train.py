import argparse

import mlflow
import pandas
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import ConfusionMatrixDisplay, classification_report, f1_score
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--trees", type=int)
parser.add_argument("--depth", type=int)
arguments = parser.parse_args()

data = pandas.read_csv("data/train.csv")
X_train, X_test, y_train, y_test = train_test_split(data.drop(columns="churn"), data["churn"], random_state=1)

with mlflow.start_run():
    model = RandomForestClassifier(arguments.trees, max_depth=arguments.depth, random_state=1).fit(X_train, y_train)
    predicted = model.predict(X_test)
    mlflow.log_metric("f1_score", f1_score(y_test, predicted))
    mlflow.log_text(classification_report(y_test, predicted), "classification_report.txt")
    matrix = ConfusionMatrixDisplay.from_predictions(y_test, predicted)
    mlflow.log_figure(matrix.figure_, "confusion_matrix.png")
    signature = mlflow.models.infer_signature(X_train, predicted)
    mlflow.sklearn.log_model(
        model,
        name="model",
        signature=signature,
        pip_requirements="requirements.txt",
        # MLflow's default format does not take trees.
        serialization_format="cloudpickle",
    )
