"""Spectune: which layers to re-train for a new system, and what physics the re-training learns."""

from importlib.metadata import version

from spectune import spectra
from spectune.advice import Advice, advise, verify, verify_advice
from spectune.data import Normalization, Pairs, PairStore, open_pairs
from spectune.errors import SpectuneError
from spectune.explain import explain
from spectune.grid import Grid
from spectune.models import CNN, Network, load_network, load_weights, save_network
from spectune.runs import coarsen, simulate
from spectune.training import (
    FitSettings,
    Observations,
    Pull,
    Replay,
    blend,
    fit,
    transfer,
    transfer_network,
)

__all__ = [
    "CNN",
    "Advice",
    "FitSettings",
    "Grid",
    "Network",
    "Normalization",
    "Observations",
    "PairStore",
    "Pairs",
    "Pull",
    "Replay",
    "SpectuneError",
    "advise",
    "blend",
    "coarsen",
    "explain",
    "fit",
    "load_network",
    "load_weights",
    "open_pairs",
    "save_network",
    "simulate",
    "spectra",
    "transfer",
    "transfer_network",
    "verify",
    "verify_advice",
]

__version__ = version("spectune")
