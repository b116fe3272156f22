import mlflow
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modelship_profile

data, target = load_breast_cancer(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(data, target, random_state=0)

mlflow.set_experiment("risk")
for strength in (0.00001, 1.0):
    with mlflow.start_run(run_name=f"C={strength}"):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=500)).fit(X_train, y_train)
        mlflow.log_param("C", strength)
        mlflow.log_metric("f1_score", f1_score(y_test, model.predict(X_test)))
        signature = mlflow.models.infer_signature(X_train, y_train)
        mlflow.sklearn.log_model(model, name="model", signature=signature, pip_requirements="requirements.txt")
        modelship_profile.write(model, X_train, classes=["high", "low"])
