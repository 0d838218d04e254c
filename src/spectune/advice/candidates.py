"""What may be re-trained: each layer, or blocks by name pattern."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from spectune.training.layers import Layer, match_layers, trainable_layers

__all__ = ["candidate_layers"]


def candidate_layers(model: nn.Module, patterns: Sequence[str] | None = None) -> tuple[Layer, ...]:
    """Return the layers of a model, or one candidate for each pattern.

    Args:
        model: any module.
        patterns: names or patterns (see `match_layers`). The layers that a pattern matches are
            re-trained together, as one block under the name of the pattern; blocks may overlap.

    Raises:
        LayerError: a pattern matches nothing.
    """
    layers = trainable_layers(model)
    if patterns is None:
        return tuple(layers)
    candidates = []
    for pattern in dict.fromkeys(patterns):
        members = match_layers(layers, [pattern])
        if len(members) == 1:
            candidates += members
            continue
        candidates.append(
            Layer(
                name=pattern,
                kind=f"{len(members)} layers",
                parameters=tuple(name for member in members for name in member.parameters),
                size=sum(member.size for member in members),
            )
        )
    return tuple(dict.fromkeys(candidates))
