"""Networks, normalisation around them, and checkpoints without pickle."""

from spectune.models.checkpoint import contiguous_weights, load_network, save_network
from spectune.models.circular import (
    CircularConv1d,
    CircularConv2d,
    CircularConv3d,
    fast_circular,
)
from spectune.models.cnn import CNN
from spectune.models.export import ExportFormat, export_network
from spectune.models.factory import build_model, load_weights
from spectune.models.network import Network
from spectune.models.open import open_model, rebuilt_by
from spectune.models.opened import Opened, open_with_data
from spectune.models.predict import predict
from spectune.models.standardized import check_shapes, standardized

__all__ = [
    "CNN",
    "CircularConv1d",
    "CircularConv2d",
    "CircularConv3d",
    "ExportFormat",
    "Network",
    "Opened",
    "build_model",
    "check_shapes",
    "contiguous_weights",
    "export_network",
    "fast_circular",
    "load_network",
    "load_weights",
    "open_model",
    "open_with_data",
    "predict",
    "rebuilt_by",
    "save_network",
    "standardized",
]
