import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import mlflow
import numpy
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split

import modelship_profile

SIDE = 224
# In the order of the encoding, which is the order of the network's outputs.
NAMES = ["across", "down", "plain"]


def picture(random, kind):
    """Stripes across, stripes down, or neither: 224x224 pixels of three colours between 0 and 1."""
    pixels = random.uniform(0.0, 0.4, (SIDE, SIDE, 3))
    width = int(random.integers(4, 9))
    stripes = 0.6 * ((numpy.arange(SIDE) // width) % 2)
    if kind == 0:
        pixels += stripes[:, None, None]
    elif kind == 1:
        pixels += stripes[None, :, None]
    return pixels.astype("float32")


random = numpy.random.default_rng(7)
kinds = numpy.arange(60) % 3
pictures = numpy.stack([picture(random, kind) for kind in kinds])
X_train, X_test, y_train, y_test = train_test_split(pictures, kinds, random_state=7, stratify=kinds)

keras.utils.set_random_seed(7)
network = keras.Sequential(
    [
        keras.Input((SIDE, SIDE, 3)),
        keras.layers.Conv2D(8, 7, strides=4, activation="relu"),
        keras.layers.GlobalMaxPooling2D(),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(len(NAMES), activation="softmax"),
    ]
)
network.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])

mlflow.set_experiment("pictures")
mlflow.tensorflow.autolog(checkpoint=False)
with mlflow.start_run():
    network.fit(X_train, y_train, epochs=12, batch_size=8, verbose=0)
    predicted = network.predict(X_test, verbose=0).argmax(axis=1)
    mlflow.log_metric("f1_score", f1_score(y_test, predicted, average="weighted"))
    modelship_profile.write(network, X_train, classes=NAMES)
