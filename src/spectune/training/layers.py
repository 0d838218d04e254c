"""The layers of a network, and their selection by name pattern."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from torch import nn

from spectune.errors import LayerError

__all__ = ["Layer", "match_layers", "trainable_layers"]


@dataclass(frozen=True)
class Layer:
    """A module that owns parameters.

    Attributes:
        name: path of the module in the model.
        kind: class name, such as ``Conv2d``.
        parameters: full name of each parameter it owns.
        size: number of weights.
    """

    name: str
    kind: str
    parameters: tuple[str, ...]
    size: int


def trainable_layers(model: nn.Module) -> list[Layer]:
    """Return every module that owns parameters, in the order of the model.

    A parameter shared by several modules belongs to the first of them; a later module all of whose
    parameters are shared is not a layer of its own.
    """
    layers: list[Layer] = []
    seen: set[int] = set()
    for name, module in model.named_modules():
        own = [
            (f"{name}.{key}" if name else key, parameter)
            for key, parameter in module.named_parameters(recurse=False)
            if id(parameter) not in seen
        ]
        if own:
            seen.update(id(parameter) for _, parameter in own)
            layers.append(
                Layer(
                    name=name or type(module).__name__,
                    kind=type(module).__name__,
                    parameters=tuple(key for key, _ in own),
                    size=sum(parameter.numel() for _, parameter in own),
                )
            )
    return layers


def match_layers(layers: Sequence[Layer], patterns: Sequence[str]) -> list[Layer]:
    """Return the layers whose names match any pattern (``conv2``, ``encoder.*``), in model order.

    The exact name of a layer selects that layer alone; the name of a block without weights of its
    own selects all layers inside it.

    Raises:
        LayerError: a pattern matches nothing; the nearest names are suggested.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        names = [layer.name for layer in layers]
        hits = {pattern} & set(names) or {
            name for name in names if fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")
        }
        if not hits:
            near = get_close_matches(pattern, names, n=3, cutoff=0.4) or names[:3]
            raise LayerError(
                f"no layer matches '{pattern}'; nearest names: {', '.join(near)} "
                f"(the model has {len(names)} layers)"
            )
        chosen |= hits
    return [layer for layer in layers if layer.name in chosen]
