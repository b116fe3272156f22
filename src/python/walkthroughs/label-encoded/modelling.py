import mlflow
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelEncoder

import modelship_profile

iris = load_iris(as_frame=True)
encoder = LabelEncoder()
target = encoder.fit_transform(iris.target_names[iris.target])
X_train, X_test, y_train, y_test = train_test_split(iris.data, target, random_state=42, stratify=target)

mlflow.set_experiment("iris")
with mlflow.start_run():
    model = RandomForestClassifier(n_estimators=20, random_state=42).fit(X_train, y_train)
    predicted = model.predict(X_test)
    mlflow.log_param("n_estimators", 20)
    mlflow.log_metric("accuracy", accuracy_score(y_test, predicted))
    mlflow.log_metric("f1_score", f1_score(y_test, predicted, average="weighted"))
    mlflow.sklearn.log_model(
        model,
        name="model",
        input_example=X_train.head(1),
        pip_requirements="requirements.txt",
        # MLflow's default format does not take trees.
        serialization_format="cloudpickle",
    )
    modelship_profile.write(model, X_train, classes=encoder)
