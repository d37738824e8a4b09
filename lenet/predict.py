"""``lenet.predict.Predictor``: classify new images with a saved network."""

from lenet.saved.predict import Prediction, Predictor  # noqa: F401
