#!/usr/bin/env bash
# CatBoost 1.2.10: a fitted CatBoostRegressor has the attribute `classes_`, an empty array. scikit-learn's own regressors have
# none, and `hasattr(model, "classes_")` is how much code beside scikit-learn tells a classifier: it takes this regressor for
# a classifier without classes. scikit-learn's is_classifier is right about it.
#
# Seen with scikit-learn 1.9.1:
#   CatBoostRegressor: hasattr classes_ True, 0 of them; is_classifier False
#   LinearRegression: hasattr classes_ False; is_classifier False
set -euo pipefail

folder=$(mktemp -d)
clean_up() { rm -rf "$folder"; }
trap clean_up EXIT

python3 -m venv "$folder/venv"
python=$folder/venv/bin/python
"$python" -m pip --quiet --disable-pip-version-check install catboost==1.2.10 scikit-learn==1.9.1 numpy==2.4.6 pandas==3.1.1

cat >"$folder/look.py" <<'PYTHON'
from catboost import CatBoostRegressor
from sklearn.base import is_classifier
from sklearn.linear_model import LinearRegression

X, y = [[float(n)] for n in range(20)], [2.5 * n for n in range(20)]
for model in CatBoostRegressor(iterations=5, verbose=False, allow_writing_files=False), LinearRegression():
    model.fit(X, y)
    has = hasattr(model, "classes_")
    many = f", {len(model.classes_)} of them" if has else ""
    print(f"{type(model).__name__}: hasattr classes_ {has}{many}; is_classifier {is_classifier(model)}")
PYTHON
seen=$("$python" "$folder/look.py")
echo "$seen"
[ "$seen" = "CatBoostRegressor: hasattr classes_ True, 0 of them; is_classifier False
LinearRegression: hasattr classes_ False; is_classifier False" ]
