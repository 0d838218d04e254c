"""The complete state of a training run, kept after every epoch."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from spectune.atomic import write_bytes
from spectune.models import contiguous_weights
from spectune.training.history import History
from spectune.training.processes import is_first

__all__ = ["TrainingState"]


class TrainingState:
    """Weights, optimizer, schedule, generator and history in one safetensors file.

    A pickle would be shorter and could run any code when opened.

    Args:
        path: the file, or None to keep nothing.
        model: its parameters and buffers.
        optimizer: Adam over the trainable parameters.
        schedule: the learning-rate schedule.
        generator: of the order of the samples.
        history: of the epochs done; restored with the rest.
        keep_best: whether the weights of the best epoch are kept beside the last.
    """

    def __init__(
        self,
        path: Path | None,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
        generator: torch.Generator,
        history: History,
        keep_best: bool,
    ) -> None:
        self.path, self.model, self.optimizer = path, model, optimizer
        self.schedule, self.generator, self.history = schedule, generator, history
        self.keep_best, self._best = keep_best, dict[str, Tensor]()

    def save(self, epoch: int) -> None:
        """Write the state after an epoch, the last of the history."""
        if self.keep_best and self.history.best_epoch == epoch:
            self._best = contiguous_weights(self.model)
        if self.path is None or not is_first():
            return
        tensors: dict[str, Tensor] = {"generator": self.generator.get_state()}
        for name, value in contiguous_weights(self.model).items():
            tensors[f"model.{name}"] = value
        tensors |= {f"best.{name}": value for name, value in self._best.items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            for key, value in values.items():
                tensors[f"optimizer.{index}.{key}"] = torch.as_tensor(value).contiguous()
        progress = {
            "epoch": epoch,
            "step": self.schedule.last_epoch,
            "history": vars(self.history),
        }
        # One entry: safetensors writes several in an order that differs from run to run.
        write_bytes(self.path, save(tensors, metadata={"progress": json.dumps(progress)}))

    def restore(self) -> int:
        """Restore the state and return the number of epochs done; 0 where there is no file."""
        if self.path is None or not self.path.is_file():
            return 0
        with safe_open(self.path, framework="pt") as file:
            progress = json.loads(file.metadata()["progress"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        self.generator.set_state(tensors.pop("generator"))
        self.model.load_state_dict(_under("model.", tensors))
        self._best = _under("best.", tensors)
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".")
                state.setdefault(int(index), {})[key] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        step = progress["step"]
        self.schedule.last_epoch = step
        for group, base, rule in zip(
            self.optimizer.param_groups,
            self.schedule.base_lrs,
            self.schedule.lr_lambdas,  # type: ignore[attr-defined]
            strict=True,
        ):
            group["lr"] = base * rule(step)
        for name, values in progress["history"].items():
            getattr(self.history, name).extend(values)
        return int(progress["epoch"])

    def restore_best(self) -> None:
        """Give the model the weights of the best epoch, if they are kept."""
        if self._best:
            self.model.load_state_dict(self._best)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
