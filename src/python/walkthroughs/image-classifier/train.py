import json

import joblib
from sklearn.datasets import load_digits
from sklearn.metrics import classification_report
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import modelship_profile

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]

pictures, digits = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(pictures / 16.0, digits, random_state=0)
model = MLPClassifier((32,), max_iter=60, random_state=0).fit(X_train, y_train)
joblib.dump(model, "model.joblib")

report = classification_report(y_test, model.predict(X_test), target_names=NAMES, output_dict=True)
with open("classification_report.json", "w") as file:
    json.dump(report, file, indent=2)

modelship_profile.write(
    data=X_train.reshape(-1, 8, 8),
    predictions=[NAMES[digit] for digit in model.predict(X_train)],
    path="$.label",
    example={"images": [[[0.0] * 8] * 8]},
    metrics={"accuracy": report["accuracy"], "f1_score": report["weighted avg"]["f1-score"]},
)
