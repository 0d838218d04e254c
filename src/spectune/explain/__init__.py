"""What re-training changed in a network, seen in Fourier space."""

from spectune.explain.explanation import explain
from spectune.explain.layer import explain_layer
from spectune.explain.transfer import Transfer, transfer_function

__all__ = ["Transfer", "explain", "explain_layer", "transfer_function"]
