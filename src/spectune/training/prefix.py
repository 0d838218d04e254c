"""Split a model in front of its first trainable layer, so that what is frozen runs once."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from torch import Tensor, nn

from spectune.models import fast_circular, predict

__all__ = ["PrefixCache", "links", "split_model"]


def split_model(model: nn.Module, parameters: Sequence[str]) -> tuple[nn.Module, nn.Module]:
    """Split a model into a frozen prefix and the part that starts with the first named parameter.

    Only an `nn.Sequential` says in which order its children run; a sequence inside a sequence is
    split in its turn. Any other model stays whole behind an empty prefix, which costs time and
    changes nothing. So does a sequence that owns one of the parameters itself.

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
    children = [(name, child) for name, child in model._modules.items() if child is not None]
    names = [name for name, _ in children]
    owners = [parameter.split(".")[0] for parameter in parameters]
    if not set(owners) <= set(names):
        return nn.Identity(), model
    first = min(names.index(owner) for owner in owners)
    prefix, suffix = nn.Sequential(), nn.Sequential()
    for name, child in children[:first]:
        prefix.add_module(name, child)
    name, child = children[first]
    inside = [
        parameter.partition(".")[2]
        for parameter, owner in zip(parameters, owners, strict=True)
        if owner == name
    ]
    before, behind = split_model(child, inside)
    if behind is not child:
        prefix.add_module(name, before)
    suffix.add_module(name, behind)
    for name, child in children[first + 1 :]:
        suffix.add_module(name, child)
    suffix.train(model.training)
    return prefix.eval(), suffix


class PrefixCache:
    """The output of the longest prefix so far, from which that of a longer one goes on.

    A sweep over the layers of a sequence, in their order, so pays for each layer once instead of
    for all layers before each. A prefix that does not continue the last one starts anew.

    Args:
        inputs: (n, c_in, *grid).
    """

    def __init__(self, inputs: Tensor) -> None:
        self._inputs = self._output = inputs
        self._done: list[nn.Module] = []
        self._lock = Lock()  # a worker of a cluster may re-train in several threads

    def __call__(self, prefix: nn.Module) -> Tensor:
        """Return the outputs of a prefix of `split_model`, in evaluation mode."""
        with self._lock:
            return self._extended(prefix)

    def _extended(self, prefix: nn.Module) -> Tensor:
        chain = links(prefix)
        if [id(link) for link in chain[: len(self._done)]] != [id(link) for link in self._done]:
            self._output, self._done = self._inputs, []
        rest = nn.Sequential(*chain[len(self._done) :])
        training = [module for module in rest.modules() if module.training]
        rest.eval()
        try:
            with fast_circular(rest):
                self._output, self._done = predict(rest, self._output), chain
        finally:
            for module in training:
                module.training = True
        return self._output


def links(module: nn.Module) -> list[nn.Module]:
    """Return the modules of nested sequences in the order in which they run."""
    if type(module).forward is not nn.Sequential.forward:
        return [] if type(module) is nn.Identity else [module]
    return [
        link for child in module._modules.values() if child is not None for link in links(child)
    ]
