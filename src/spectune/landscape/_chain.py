"""A model as a chain of modules, differentiated in some of its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call

from spectune.errors import DataError
from spectune.models import CircularConv1d, CircularConv2d, CircularConv3d

__all__ = ["Chain", "Trail", "cut"]

# Modules whose output is affine in the input, and affine in their own parameters.
_AFFINE = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    CircularConv1d,
    CircularConv2d,
    CircularConv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)

Trail = list[Tensor | None]
"""What each link needs of the forward pass to push a change through."""


class Chain:
    """The modules of a model in their order, split in front of the first that moves.

        f(x; θ) = f_m ∘ … ∘ f_k (z; θ),        z = f_{k−1} ∘ … ∘ f_1 (x)

    Only an `nn.Sequential` says in which order its children run; any other module is one link.

    Args:
        model: the module.
        moving: names of the parameters θ.
    """

    def __init__(self, model: nn.Module, moving: Sequence[str]) -> None:
        names = {id(value): name for name, value in model.named_parameters()}
        links = [_Link(module, names, set(moving)) for module in _in_order(model)]
        first = next((i for i, link in enumerate(links) if link.moving), 0)
        self._prefix, self._links = links[:first], links[first:]

    def prefix(self, inputs: Tensor) -> Tensor:
        """Return z, what the first link that moves is given."""
        for link in self._prefix:
            inputs = link({}, inputs)
        return inputs

    def __call__(self, parameters: Mapping[str, Tensor], features: Tensor) -> Tensor:
        """Return f from z."""
        for link in self._links:
            features = link(parameters, features)
        return features

    def walk(self, parameters: Mapping[str, Tensor], features: Tensor) -> tuple[Tensor, Trail]:
        """Return f from z, and what `push` needs of the way there."""
        trail: Trail = []
        for link in self._links:
            kept = link.kept_input(features)
            features = link(parameters, features)
            trail.append(features.detach() if link.rectifier else kept)
        return features, trail

    def push(
        self, point: Mapping[str, Tensor], delta: Mapping[str, Tensor], trail: Trail
    ) -> Tensor | None:
        """Return (∂f/∂θ) δ by forward-mode differentiation; None where f does not depend on θ.

        Convolutions and linear maps, where almost all the time goes, are applied to the change
        alone; forward mode of the whole model would apply them to the features once more.
        """
        change: Tensor | None = None
        for link, kept in zip(self._links, trail, strict=True):
            change = link.push(point, delta, kept, change)
        return change


class _Link:
    """One module of a chain."""

    def __init__(self, module: nn.Module, names: Mapping[int, str], moving: set[str]) -> None:
        shared: dict[int, Tensor] = {}  # one tensor for a weight that has two names
        own = {
            local: (names[id(value)], shared.setdefault(id(value), value.detach()))
            for local, value in module.named_parameters(remove_duplicate=False)
        }
        self.module = module
        self.moving = {local: name for local, (name, _) in own.items() if name in moving}
        self._fixed = {local: value for local, (name, value) in own.items() if name not in moving}
        plain = not (module._forward_hooks or module._forward_pre_hooks)
        self._affine = plain and type(module) in _AFFINE
        self.rectifier = plain and type(module) is nn.ReLU
        self._in_place = any(getattr(inner, "inplace", False) for inner in module.modules())

    def __call__(self, parameters: Mapping[str, Tensor], features: Tensor) -> Tensor:
        values = self._fixed | {local: parameters[name] for local, name in self.moving.items()}
        out = functional_call(self.module, values, (features,))
        if not isinstance(out, Tensor):
            raise DataError(f"the model returned {type(out).__name__}, expected one tensor")
        return out

    def kept_input(self, features: Tensor) -> Tensor | None:
        """Return the input of this link as `push` needs it, if it does."""
        if self.rectifier or (self._affine and not self.moving):
            return None
        features = features.detach()
        return features.clone() if self._in_place else features

    def push(
        self,
        point: Mapping[str, Tensor],
        delta: Mapping[str, Tensor],
        kept: Tensor | None,
        change: Tensor | None,
    ) -> Tensor | None:
        """Return the change of the output from those of the parameters and of the input."""
        if change is None and not self.moving:
            return None
        if change is not None and self.rectifier and kept is not None:
            # The derivative is 1 where the output is positive, and so says torch's backward pass.
            return torch.ops.aten.threshold_backward(change, kept, 0)  # type: ignore[no-any-return]
        values = self._fixed | {local: point[name] for local, name in self.moving.items()}
        moves = {local: delta[name] for local, name in self.moving.items()}
        if self._affine:
            return self._push_affine(values, moves, kept, change)
        assert kept is not None
        kept = kept.clone() if self._in_place else kept
        with forward_ad.dual_level():
            # torch leaves these two functions without types.
            # A weight that two names share is one and the same dual number.
            duals = {
                name: forward_ad.make_dual(point[name], delta[name])  # type: ignore[no-untyped-call]
                for name in set(self.moving.values())
            }
            values |= {local: duals[name] for local, name in self.moving.items()}
            if change is not None:
                kept = forward_ad.make_dual(kept, change)  # type: ignore[no-untyped-call]
            out = functional_call(self.module, values, (kept,))
            primal, tangent = forward_ad.unpack_dual(out)  # type: ignore[no-untyped-call]
            return torch.zeros_like(primal) if tangent is None else tangent.clone()

    def _push_affine(
        self,
        values: dict[str, Tensor],
        moves: dict[str, Tensor],
        kept: Tensor | None,
        change: Tensor | None,
    ) -> Tensor:
        zeros = {local: torch.zeros_like(value) for local, value in values.items()}
        parts: list[Tensor] = []
        if change is not None:
            linear = {local: zeros[local] if local == "bias" else values[local] for local in values}
            parts.append(functional_call(self.module, linear, (change,)))
        if moves:
            parts.append(functional_call(self.module, zeros | moves, (kept,)))
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]


def cut(trail: Trail, row: int, rows: int) -> Trail | None:
    """Return the trail of one sample; None where a module does not keep samples first."""
    if any(kept is not None and kept.shape[:1] != (rows,) for kept in trail):
        return None
    return [None if kept is None else kept[row : row + 1] for kept in trail]


def _in_order(module: nn.Module) -> list[nn.Module]:
    """Return the modules inside nested sequences; any other module alone."""
    hooked = module._forward_hooks or module._forward_pre_hooks
    if type(module).forward is not nn.Sequential.forward or hooked:
        return [module]
    # Not children(), which lists a module that runs twice (one ReLU for all) only once.
    return [inner for child in module._modules.values() if child for inner in _in_order(child)]
