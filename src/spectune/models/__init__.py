"""Networks, normalisation around them, and checkpoints without pickle."""

from spectune.models.checkpoint import contiguous_weights, load_network, save_network
from spectune.models.cnn import CNN
from spectune.models.factory import build_model, load_weights
from spectune.models.network import Network
from spectune.models.open import open_model
from spectune.models.predict import predict

__all__ = [
    "CNN",
    "Network",
    "build_model",
    "contiguous_weights",
    "load_network",
    "load_weights",
    "open_model",
    "predict",
    "save_network",
]
