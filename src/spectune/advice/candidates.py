"""What may be re-trained: each layer, or blocks by name pattern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from spectune.training.layers import Layer, match_layers, trainable_layers

__all__ = ["candidate_layers", "mean_of_members", "owners_of"]


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


def owners_of(layer: Layer) -> tuple[str, ...]:
    """Return the paths of the modules that own the parameters of a layer or block, in order."""
    return tuple(dict.fromkeys(name.rpartition(".")[0] for name in layer.parameters))


def mean_of_members(layers: Sequence[Layer], scores: Mapping[str, float]) -> dict[str, float]:
    """Return the mean score of the modules in each layer or block; none where none has a score.

    Args:
        layers: the candidates.
        scores: by the path of a module.
    """
    means = {}
    for layer in layers:
        known = [scores[owner] for owner in owners_of(layer) if owner in scores]
        if known:
            means[layer.name] = sum(known) / len(known)
    return means
