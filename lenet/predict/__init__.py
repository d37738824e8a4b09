"""``lenet.predict.Predictor``: classify new images with a saved network."""

from lenet.predict.predictor import Prediction, Predictor  # noqa: F401
