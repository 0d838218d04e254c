"""``spectune transfer``: what was advised is re-trained, kept as a network, and resumed."""

import importlib
import json
from pathlib import Path

import pytest
import torch

import spectune as st
from cli_run import advise, refused, runner, save
from spectune.errors import StabilityError


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    return runner(tmp_path, monkeypatch, capsys)


def transfer(*more, model="my_module:net", weights="w.safetensors"):
    options = advise(model=model, weights=weights)[1:]
    return ["transfer", *options, "--epochs", 3, "--batch", 2, *more]


def state(folder):
    return st.load_network(Path(folder))[1].state_dict()


def test_what_was_advised_is_retrained_and_opens_as_a_model(run):
    save("target.nc", n=8)
    save("held-out.nc", n=5)
    run(*advise())
    code, out, err = run(*transfer("--advice", "advice", "--held-out", "held-out.nc"))
    assert code in (0, None), err
    (best,) = json.loads(Path("advice/advice.json").read_text())["best"]
    for word in (f"Re-trained: {best}", "before", "after", "correlation", "spectrum error"):
        assert word in out
    written = {path.name for path in Path("tuned").iterdir() if path.name[0] != "."}
    assert written == {"network.json", "weights.safetensors", "history.csv"}
    assert len(Path("tuned/history.csv").read_text().splitlines()) == 1 + 3
    description = json.loads(Path("tuned/network.json").read_text())
    assert description["factory"] == "my_module:net"
    assert description["provenance"]["retrained"] == [best]
    before = st.load_weights(st.CNN(1, 1, width=2, depth=2, kernel=3), "w.safetensors")
    base = st.CNN(1, 1, width=2, depth=2, kernel=3)
    st.load_weights(base, "w.safetensors")
    moved = {
        n.split(".")[0] for n, v in state("tuned").items() if not v.equal(base.state_dict()[n])
    }
    assert before is None
    assert moved == {best}
    # It is a model like any other, re-trained once more under its own factory.
    code, _, err = run(
        *transfer("--layers", "conv1", "--out", "twice", model="tuned", weights=None)
    )
    assert code in (0, None), err
    assert json.loads(Path("twice/network.json").read_text())["factory"] == "my_module:net"


def test_standardised_it_keeps_the_statistics_of_the_base(run):
    save("target.nc", n=8)
    save("base.nc", n=4)
    options = ("--layers", "conv2", "--standardize", "--base", "base.nc")
    assert run(*transfer(*options))[0] in (0, None)
    network = st.load_network(Path("tuned"))[0]
    expected = st.Normalization.of(st.open_pairs("base.nc", inputs=["a"], targets=["b"]), "base")
    torch.testing.assert_close(network.normalization.input_mean, expected.input_mean)


@pytest.mark.parametrize("kind", ["bias", "scale", "low-rank"])
def test_kinds_and_gauss_newton(run, kind):
    save("target.nc", n=8)
    method = ["--gauss-newton"] if kind == "scale" else []
    code, out, err = run(*transfer("--layers", "conv2", "--kind", kind, *method))
    assert code in (0, None), err
    assert "loss of the first and the last epoch" in out


def test_killed_and_resumed(run, monkeypatch):
    save("target.nc", n=8)
    run(*transfer("--layers", "conv*", "--out", "whole"))
    loop = importlib.import_module("spectune.training.fit")
    whole = loop._epoch
    seen = []

    def dies(*arguments):
        seen.append(1)
        if len(seen) == 3:
            raise StabilityError("killed")
        return whole(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "_epoch", dies)
        refused(run(*transfer("--layers", "conv*")), "killed")
    assert Path("tuned/.state.safetensors").exists()
    pairs = st.open_pairs("target.nc", inputs=["a"], targets=["b"])
    model = st.CNN(1, 1, width=2, depth=2, kernel=3)
    st.load_weights(model, "w.safetensors")
    done = []
    st.transfer_network(
        model, pairs, "conv*", st.FitSettings(3, 2), "tuned",
        factory="my_module:net", progress=done.append,
    )  # fmt: skip
    assert done == [3]
    assert not Path("tuned/.state.safetensors").exists()
    for name in ("history.csv", "weights.safetensors"):
        assert Path("tuned", name).read_bytes() == Path("whole", name).read_bytes()


def test_mistakes(run):
    save("target.nc")
    refused(run(*transfer()), "expected --layers or --advice, and not both")
    refused(run(*transfer("--advice", "nowhere")), "nowhere/advice.json: there is no advice")
    refused(run(*transfer("--layers", "conv9")), "no layer matches 'conv9'")
    refused(run(*transfer("--layers", "conv1", "--kind", "half")), "kind 'half': expected 'full'")
    refused(run(*transfer("--layers", "conv1", "--held-out", "nowhere.nc")), "does not exist")
    itself = ("--layers", "conv1", "--held-out", "target.nc")
    refused(run(*transfer(*itself)), "held-out samples are samples of target.nc too")
    run(*transfer("--layers", "conv1"))
    other = "another network, or with other layers, data or"
    refused(run(*transfer("--layers", "conv2")), other)
    low = ("--layers", "conv1", "--kind", "low-rank", "--out", "low")
    run(*transfer(*low))
    refused(run(*transfer(*low, "--rank", 2)), other)
    save("base.nc", n=4)
    statistics = ("--layers", "conv1", "--standardize", "--base", "base.nc")
    refused(run(*transfer(*statistics)), other)
