"""Split a model in front of its first trainable layer, so that what is frozen runs once."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

__all__ = ["split_model"]


def split_model(model: nn.Module, parameters: Sequence[str]) -> tuple[nn.Module, nn.Module]:
    """Split a model into a frozen prefix and the part that starts with the first named parameter.

    Only an `nn.Sequential` says in which order its children run; any other model stays whole
    behind an empty prefix, which costs time and changes nothing. So does a sequence that owns one
    of the parameters itself.

    Args:
        model: any module.
        parameters: full names of the parameters that will move.

    Returns:
        prefix and suffix, which share their parameters with the model and keep the names of its
        children.
    """
    if type(model).forward is not nn.Sequential.forward:
        return nn.Identity(), model
    # Not named_children(), which lists a module that runs twice (one ReLU for all) only once.
    children = list(model._modules.items())
    names = [name for name, _ in children]
    owners = [parameter.split(".")[0] for parameter in parameters]
    if not set(owners) <= set(names):
        return nn.Identity(), model
    first = min(names.index(owner) for owner in owners)
    prefix, suffix = nn.Sequential(), nn.Sequential()
    for i, (name, child) in enumerate(children):
        (prefix if i < first else suffix).add_module(name, child)
    suffix.train(model.training)
    return prefix.eval(), suffix
