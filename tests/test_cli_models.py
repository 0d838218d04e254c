"""Models and weights that the command line refuses."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cli_run import advise, refused, runner, save
from spectune.models import CNN


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    return runner(tmp_path, monkeypatch, capsys)


def test_weights_that_do_not_fit(run):
    save("target.nc")
    state = CNN(1, 1, width=3, depth=2, kernel=3).state_dict()
    del state["conv2.bias"]
    save_file(state | {"extra": torch.ones(2)}, "other.safetensors")
    refused(
        run(*advise(weights="other.safetensors")),
        "weights other.safetensors do not fit the model",
        "conv1.weight: expected (2, 1, 3, 3), found (3, 1, 3, 3)",
        "conv2.bias: expected (1,), missing in the file",
        "extra: found (2,), not in the model",
    )


def test_a_pickle_as_weights_is_refused_unopened(run):
    save("target.nc")

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (Path("opened"),))

    torch.save({"conv1.weight": Bomb()}, "weights.safetensors")
    refused(run(*advise(weights="weights.safetensors")), "is a pickle", "refused", "save_file")
    assert not Path("opened").exists()
    refused(run(*advise(weights="missing.safetensors")), "missing.safetensors: no such file")
    Path("torn.safetensors").write_bytes(Path("w.safetensors").read_bytes()[:-40])
    refused(run(*advise(weights="torn.safetensors")), "not a readable safetensors file")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("net", ["expected 'package.module:factory'"]),
        ("no_such_module:net", ["cannot import 'no_such_module'"]),
        ("my_module:nett", ["'my_module' has no 'nett'; nearest names: net"]),
        ("my_module:broken", ["could not be called", "RuntimeError: no such checkpoint"]),
        ("my_module:MODULE", ["has no 'MODULE'"]),
        ("my_module:nothing", ["no weights"]),
        ("my_module:Fussy", ["cannot take inputs ['a'] of shape (1, 1, 8, 12)", "ValueError"]),
        ("my_module:Shrinks", ["returns shape (1, 1, 6, 10)", "['b'] have shape (1, 1, 8, 12)"]),
        ("my_module:Pair", ["returns tuple, expected one tensor"]),
        ("my_module:Huge", ["NaN or Inf"]),
    ],
)
def test_bad_models(run, model, words):
    save("target.nc")
    refused(run(*advise(model=model, weights=None)), *words)


def test_a_module_that_does_not_import(run):
    save("target.nc")
    Path("typo_in_it.py").write_text("def net(:\n")
    refused(run(*advise(model="typo_in_it:net")), "importing 'typo_in_it' failed: SyntaxError")


def test_saved_networks_that_are_broken(run):
    save("target.nc")
    Path("net").mkdir()
    refused(run(*advise(model="net", weights=None)), "network.json, which is missing")
    Path("net/network.json").write_text('{"factory": 3}')
    refused(run(*advise(model="net", weights=None)), "damaged")
    refused(run(*advise(model="net")), "leave out w.safetensors")
