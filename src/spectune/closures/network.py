"""A network as a closure."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from spectune.closures.model import SubgridModel
from spectune.data import Normalization
from spectune.errors import ModelError
from spectune.models import Network, load_network

__all__ = ["NetworkClosure"]


class NetworkClosure(SubgridModel):
    """Any network in the place of a physics closure, all members of an ensemble in one call.

        Π = σ_y f((x̄ − μ_x)/σ_x) + μ_y

    A simulation in another precision than the weights is cast for the network and back.

    A network of 5×5 convolutions already runs at the rate of a matrix product in float32, so that
    less precise arithmetic is the only way to a much faster one. ``"bfloat16"`` has 8 bits of
    mantissa: convolutions then take half the time where the processor has instructions for it, and
    Π differs by about 3 % (root mean square, networks of 8 layers and 16 channels), where the
    error of such a network is 40 %. ``python -m benchmarks les`` measures both.

    Args:
        module: a `Network`, or f itself, from (n, c_in, *grid) to (n, c_out, *grid), in the mode
            it is to run in.
        normalization: of f; None for a `Network`, which has its own, and for a module that takes
            physical units.
        name: to show.
        precision: of the convolutions and matrix products; ``"float32"`` is that of the weights.

    Raises:
        ModelError: a normalisation for a network that has its own.
    """

    def __init__(
        self,
        module: nn.Module,
        normalization: Normalization | None = None,
        *,
        name: str = "network",
        precision: Literal["float32", "bfloat16"] = "float32",
    ) -> None:
        if normalization is not None:
            if isinstance(module, Network):
                raise ModelError(
                    f"closure '{name}': found a second normalisation for a Network, which has its "
                    "own; leave it out, or give the bare module"
                )
            module = Network(module, normalization)
        self.module, self.name = module, name
        self._reduced = precision == "bfloat16"
        weights = list(module.parameters())
        self.parameters = {"weights": sum(w.numel() for w in weights)}
        self._like = weights[0] if weights else None

    @classmethod
    def load(cls, folder: str | Path, *, name: str | None = None) -> NetworkClosure:
        """Return the network of a folder that Spectune saved, with its normalisation.

        Args:
            folder: written by `spectune.save_network`.
            name: to show; by default that of the folder.

        Raises:
            ModelError: a file is missing or the weights do not fit.
        """
        folder = Path(folder)
        return cls(load_network(folder)[0], name=folder.name if name is None else name)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return Π (n, c_out, *grid) in physical units.

        Raises:
            ModelError: the network was trained on another number of channels.
        """
        if isinstance(self.module, Network):
            expected = len(self.module.normalization.input_mean)
            if inputs.shape[1] != expected:
                raise ModelError(
                    f"closure '{self.name}': the network expects {expected} input channels, the "
                    f"simulation has {inputs.shape[1]} (shape {tuple(inputs.shape)}); use a "
                    "network that was trained on this system"
                )
        if self._like is None:
            return torch.as_tensor(self.module(inputs))
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self._reduced):
            return torch.as_tensor(self.module(inputs.to(self._like))).to(inputs)
