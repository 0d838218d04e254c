"""Training, resumption, layer choice and re-training."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from spectune.errors import DataError, LayerError, StabilityError
from spectune.grid import Grid
from spectune.models import CNN
from spectune.spectra import spectrum_error
from spectune.training import (
    FitSettings,
    History,
    fit,
    match_layers,
    split_model,
    trainable_layers,
    transfer,
)
from spectune.training.log import EpochLog


def problem(n=24, seed=0):
    generator = torch.manual_seed(seed)
    inputs = torch.randn(n, 2, 16, 16, generator=generator)
    targets = torch.roll(inputs[:, :1], 1, -1) * 0.7 + inputs[:, 1:]
    return inputs, targets


def small(seed=0, depth=4):
    torch.manual_seed(seed)
    return CNN(2, 1, width=6, depth=depth, kernel=3)


def test_fit_learns_a_linear_stencil():
    inputs, targets = problem()
    history = fit(small(), inputs, targets, FitSettings(40, batch=8, learning_rate=1e-2))
    assert history.train[-1] < 0.05 * history.train[0]


def test_interrupted_fit_gives_the_same_bytes(tmp_path):
    inputs, targets = problem()
    settings = FitSettings(6, batch=5)
    whole = small()
    expected = fit(whole, inputs, targets, settings, held_out=problem(8, 1))

    class KilledError(Exception):
        pass

    def kill(epoch):
        if epoch == 3:
            raise KilledError

    path = tmp_path / "state.safetensors"
    with pytest.raises(KilledError):
        fit(
            small(),
            inputs,
            targets,
            settings,
            held_out=problem(8, 1),
            state_path=path,
            progress=kill,
        )
    resumed = small(seed=99)
    history = fit(resumed, inputs, targets, settings, held_out=problem(8, 1), state_path=path)
    assert history == expected
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_transfer_moves_only_the_chosen_layer_and_not_the_base():
    inputs, targets = problem()
    base = small()
    before = {k: v.clone() for k, v in base.state_dict().items()}
    tuned, history = transfer(base, inputs, targets, ["conv2"], FitSettings(5, batch=8))
    assert all(torch.equal(v, before[k]) for k, v in base.state_dict().items())
    changed = {k for k, v in tuned.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"conv2.weight", "conv2.bias"}
    assert history.train[-1] < history.train[0]


def test_cached_prefix_gives_the_result_of_the_whole_network():
    inputs, targets = problem()
    base = small()

    class Whole(nn.Module):
        """Hides that the network is sequential."""

        def __init__(self):
            super().__init__()
            self.net = base

        def forward(self, x):
            return self.net(x)

    settings = FitSettings(4, batch=8)
    cached, _ = transfer(base, inputs, targets, ["conv3"], settings)
    plain, _ = transfer(Whole(), inputs, targets, ["net.conv3"], settings)
    torch.testing.assert_close(cached(inputs), plain(inputs), atol=1e-6, rtol=1e-5)


def test_split_model_is_the_model():
    model, (inputs, _) = small(), problem()
    for layer in trainable_layers(model):
        prefix, suffix = split_model(model, layer.parameters)
        torch.testing.assert_close(suffix(prefix(inputs)), model(inputs))
        assert dict(suffix.named_parameters()).keys() >= set(layer.parameters)


def test_frozen_batch_norm_keeps_its_statistics():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1))
    before = model[1].running_mean.clone()
    tuned, _ = transfer(model, *problem(), ["0"], FitSettings(2))
    assert torch.equal(tuned[1].running_mean, before)
    tuned, _ = transfer(model, *problem(), ["1"], FitSettings(2))
    assert not torch.equal(tuned[1].running_mean, before)


def test_layers_are_matched_by_name_pattern_and_block():
    model = nn.ModuleDict({"encoder": small(), "decoder": small(), "head": nn.Linear(2, 2)})
    layers = trainable_layers(model)
    assert [x.name for x in match_layers(layers, ["encoder.conv[12]"])] == [
        "encoder.conv1",
        "encoder.conv2",
    ]
    assert len(match_layers(layers, ["decoder"])) == 4
    with pytest.raises(LayerError, match=r"no layer matches 'encoder.cnov1'.*encoder\.conv1"):
        match_layers(layers, ["encoder.cnov1"])


def test_a_shared_weight_is_one_layer():
    a, b = nn.Linear(4, 4), nn.Linear(4, 4)
    b.weight, b.bias = a.weight, a.bias
    assert [x.name for x in trainable_layers(nn.Sequential(a, b))] == ["0"]


def test_divergence_is_reported():
    inputs, targets = problem()
    with pytest.raises(StabilityError, match="epoch 1 of 2; lower the learning rate"):
        fit(small(), inputs * float("inf"), targets, FitSettings(2))


def test_patience_ends_the_run_and_keeps_the_best_epoch():
    inputs, targets = problem(6)
    held_out = problem(8, 1)
    model = small()
    settings = FitSettings(60, batch=3, learning_rate=3e-2, patience=3)
    grid = Grid.square(16)
    history = fit(model, inputs, targets, settings, held_out=held_out, grid=grid)
    best = history.best_epoch
    assert len(history.train) == best + 3 < 60
    assert history.score[best - 1] == min(history.score)
    assert history.score[0] ** 2 == pytest.approx(history.held_out[0] * history.spectrum[0])
    with torch.no_grad():
        outputs = model(held_out[0])
    assert float(nn.functional.mse_loss(outputs, held_out[1])) == pytest.approx(
        history.held_out[best - 1], rel=1e-5
    )
    assert spectrum_error(outputs, held_out[1], grid).value == pytest.approx(
        history.spectrum[best - 1], rel=1e-5
    )


def test_patience_needs_something_to_judge_by():
    with pytest.raises(DataError, match="patience 2: found no held-out samples"):
        fit(small(), *problem(), FitSettings(1, patience=2))


def test_the_log_is_a_table_of_the_history(tmp_path):
    path = tmp_path / "log.csv"
    history = fit(small(), *problem(), FitSettings(2), held_out=problem(4, 1), log_path=path)
    header, *lines = path.read_text().splitlines()
    assert header == "epoch,train,held_out"
    expected = [
        [1, history.train[0], history.held_out[0]],
        [2, history.train[1], history.held_out[1]],
    ]
    assert [[float(x) for x in line.split(",")] for line in lines] == expected


def test_a_folder_is_a_log_for_tensorboard(tmp_path):
    """Killed after epoch 2 of 4 and resumed from epoch 1: each epoch is there once."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / "log"
    log = EpochLog(folder)
    for errors in ([3.0], [3.0, 99.0]):
        log.write(History(train=errors, held_out=errors))
    whole = [3.0, 2.5, 2.0, 1.5]
    log = EpochLog(folder, epoch=1)
    for epoch in (2, 3, 4):
        log.write(History(train=whole[:epoch], held_out=whole[:epoch]))

    events = EventAccumulator(str(folder)).Reload()

    assert events.Tags()["scalars"] == ["train", "held_out"]
    for name in ("train", "held_out"):
        assert [(e.step, e.value) for e in events.Scalars(name)] == list(enumerate(whole, start=1))


def test_fit_logs_for_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    history = fit(small(), *problem(), FitSettings(2), log_path=tmp_path / "log")

    events = EventAccumulator(str(tmp_path / "log")).Reload().Scalars("train")
    assert [e.value for e in events] == pytest.approx(history.train)


def test_a_log_is_a_table_or_a_folder(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"found the ending '\.txt', expected '\.csv', or none"):
        fit(small(), *problem(), FitSettings(1), log_path=tmp_path / "log.txt")

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # as if not installed
    with pytest.raises(DataError, match=r"pip install 'spectune\[tensorboard\]'"):
        fit(small(), *problem(), FitSettings(1), log_path=tmp_path / "log")
    fit(small(), *problem(), FitSettings(1), log_path=tmp_path / "log.csv")


class Idle(nn.Module):
    """A network with a head that never runs."""

    def __init__(self):
        super().__init__()
        self.body, self.head = small(), nn.Linear(3, 3)

    def forward(self, x):
        return self.body(x)


def test_a_layer_that_never_runs_cannot_be_trained_alone():
    with pytest.raises(LayerError, match=r"no gradient for head\.weight, head\.bias: .* Idle runs"):
        transfer(Idle(), *problem(), "head", FitSettings(1))


def test_a_layer_that_never_runs_does_no_harm_beside_others():
    model = Idle()
    tuned, history = transfer(model, *problem(), ["head", "body.conv1"], FitSettings(2))

    assert history.train[1] < history.train[0]
    assert torch.equal(tuned.head.weight, model.head.weight)


def test_a_frozen_model_has_nothing_to_train():
    with pytest.raises(LayerError, match="no parameter that requires gradients"):
        fit(small().requires_grad_(False), *problem(), FitSettings(1))


def test_low_precision_is_close_and_keeps_full_weights():
    inputs, targets = problem()
    losses = {}
    for precision in ("float32", "bfloat16"):
        model = small()
        settings = FitSettings(10, batch=8, learning_rate=1e-2, precision=precision)
        losses[precision] = fit(model, inputs, targets, settings).train
        assert all(p.dtype == torch.float32 for p in model.parameters())
    assert losses["bfloat16"] != losses["float32"]
    assert losses["bfloat16"][-1] == pytest.approx(losses["float32"][-1], rel=0.1)


def run(folder, *arguments, processes=None):
    folder.mkdir(exist_ok=True)
    program = [str(Path(__file__).with_name("gloo_fit.py")), str(folder), *arguments]
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *(launch if processes else []), *program]
    return subprocess.run(command, capture_output=True, timeout=120)


def test_killed_and_shared_runs_are_the_run(tmp_path):
    """After kill −9 a run ends with the bytes of one process; two processes give its losses."""
    assert run(tmp_path / "whole").returncode == 0
    assert run(tmp_path / "killed", "3").returncode == -9
    assert not (tmp_path / "killed" / "history.json").exists()
    assert run(tmp_path / "killed").returncode == 0
    for name in ("state.safetensors", "log.csv", "history.json"):
        expected = (tmp_path / "whole" / name).read_bytes()
        assert (tmp_path / "killed" / name).read_bytes() == expected
    shared = run(tmp_path / "shared", processes=2)
    assert shared.returncode == 0, shared.stderr.decode()[-2000:]
    found, expected = (
        json.loads((tmp_path / name / "history.json").read_text()) for name in ("shared", "whole")
    )
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=1e-4)
