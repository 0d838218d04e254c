"""Training and re-training of chosen layers."""

from spectune.training.blend import (
    Blend,
    Pull,
    Replay,
    TradeOff,
    blend,
    fisher_diagonal,
    trade_off,
)
from spectune.training.fit import FitSettings, fit, minimise
from spectune.training.gauss_newton import GaussNewtonSettings, gauss_newton
from spectune.training.history import History
from spectune.training.kinds import Kind
from spectune.training.layers import Layer, match_layers, trainable_layers
from spectune.training.objective import Joined, Objective, Supervised
from spectune.training.observations import Observations, block_means, channels
from spectune.training.prefix import PrefixCache, split_model
from spectune.training.scores import Scores, score, target_variance
from spectune.training.symmetries import Symmetries
from spectune.training.transfer import TransferData, retrain, sweep, transfer
from spectune.training.tuned import Tuned, transfer_network

__all__ = [
    "Blend",
    "FitSettings",
    "GaussNewtonSettings",
    "History",
    "Joined",
    "Kind",
    "Layer",
    "Objective",
    "Observations",
    "PrefixCache",
    "Pull",
    "Replay",
    "Scores",
    "Supervised",
    "Symmetries",
    "TradeOff",
    "TransferData",
    "Tuned",
    "blend",
    "block_means",
    "channels",
    "fisher_diagonal",
    "fit",
    "gauss_newton",
    "match_layers",
    "minimise",
    "retrain",
    "score",
    "split_model",
    "sweep",
    "target_variance",
    "trade_off",
    "trainable_layers",
    "transfer",
    "transfer_network",
]
