"""What a version of a model means: its classes, an example request, how its predictions were spread.

One line in a training script writes it, beside the model and as an artifact of the MLflow run that is active::

    modelship_profile.write(model, X_train, classes=["stay", "churn"])

The profile travels in the labels of the model's image (``python -m modelship_profile labels``). It never holds a row of
the training data: see README.md for what it holds instead.
"""

from .errors import ProfileError
from .profile import build, write
from .schema import VERSION, check, load

__all__ = ["VERSION", "ProfileError", "build", "check", "load", "write"]
