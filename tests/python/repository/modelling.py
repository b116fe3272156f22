import mlflow
import pandas
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score
from sklearn.preprocessing import LabelEncoder

import modelship_profile

# Customers leave within so many months.
MONTHS = 12

customers = pandas.DataFrame({"tenure": [float(month) for month in range(60)], "charges": [20.0 + month % 7 for month in range(60)]})
encoder = LabelEncoder()
target = encoder.fit_transform(["churn" if tenure < MONTHS else "stay" for tenure in customers["tenure"]])

mlflow.set_experiment("churn")
with mlflow.start_run():
    model = RandomForestClassifier(n_estimators=5, random_state=0).fit(customers, target)
    mlflow.log_metric("f1_score", f1_score(target, model.predict(customers)))
    mlflow.sklearn.log_model(
        model,
        name="model",
        input_example=customers.head(1),
        pip_requirements="requirements.txt",
        serialization_format="cloudpickle",
    )
    modelship_profile.write(model, customers, classes=encoder)
