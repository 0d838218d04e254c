"""A training run as a program: in one process or in several, killed or not."""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from torch import distributed

from spectune.models import CNN
from spectune.training import FitSettings, fit


def problem(n, seed):
    inputs = torch.randn(n, 2, 8, 8, generator=torch.Generator().manual_seed(seed))
    return inputs, torch.roll(inputs[:, :1], 1, -1) * 0.7 + inputs[:, 1:]


def main(folder, kill_after=0):
    torch.set_num_threads(1)
    if "RANK" in os.environ:
        distributed.init_process_group("gloo")
    torch.manual_seed(0)
    model = CNN(2, 1, width=4, depth=3, kernel=3)

    def progress(epoch):
        if epoch == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    history = fit(
        model,
        *problem(22, 0),  # the last batch of an epoch has two samples, or one a process
        FitSettings(6, batch=5, learning_rate=1e-2, patience=4),
        held_out=problem(6, 1),
        state_path=Path(folder) / "state.safetensors",
        log_path=Path(folder) / "log.csv",
        progress=progress,
    )
    if not distributed.is_initialized() or distributed.get_rank() == 0:
        (Path(folder) / "history.json").write_text(json.dumps(vars(history)))
    if distributed.is_initialized():
        distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
