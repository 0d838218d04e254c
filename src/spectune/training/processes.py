"""A batch shared by several processes, each with a copy of the model."""

from __future__ import annotations

import torch
from torch import Tensor, distributed

__all__ = ["is_first", "share_of", "sum_over_processes"]


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def is_first() -> bool:
    """Return whether this process is the one that writes files."""
    return not _together() or distributed.get_rank() == 0


def share_of(batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the part of a batch that this process computes: all of it where there is only one.

    A process may be left without samples by a batch smaller than the number of processes.
    """
    if not _together():
        return batch
    rank, count = distributed.get_rank(), distributed.get_world_size()
    return tuple(part[rank::count] for part in batch)


def sum_over_processes(loss: Tensor, optimizer: torch.optim.Optimizer) -> Tensor:
    """Sum the gradients of the optimizer's parameters in place, and return the sum of the loss.

        ∇L = Σ_p (n_p/n) ∇L_p

    with n_p of the n samples of the batch in process p, a factor that L_p comes with. One message
    carries all.
    """
    if not _together():
        return loss
    gradients = []
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
    message = torch.cat([loss.reshape(1), *(g.reshape(-1) for g in gradients)])
    distributed.all_reduce(message)
    start = 1
    for gradient in gradients:
        gradient.copy_(message[start : start + gradient.numel()].reshape(gradient.shape))
        start += gradient.numel()
    return message[0]
