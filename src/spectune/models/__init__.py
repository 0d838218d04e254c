"""Networks, normalisation around them, and checkpoints without pickle."""

from spectune.models.checkpoint import load_network, save_network
from spectune.models.cnn import CNN
from spectune.models.factory import build_model, load_weights
from spectune.models.network import Network
from spectune.models.open import open_model

__all__ = [
    "CNN",
    "Network",
    "build_model",
    "load_network",
    "load_weights",
    "open_model",
    "save_network",
]
