"""Exported networks: the same Π without Spectune, or no file."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cli_run import refused, runner
from spectune.data import Normalization
from spectune.errors import ModelError
from spectune.grid import Grid
from spectune.models import CNN, Network, export_network, save_network

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
TORCH = Path(torch.__file__).parent
# The example must run where Spectune cannot be imported.
ALONE = "import runpy, sys; sys.modules['spectune'] = None; del sys.argv[0]; " + (
    "runpy.run_path(sys.argv[0])"
)
N = 16

# PyTorch deprecates TorchScript, which FTorch and libtorch still need.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


def statistics(inputs=2):
    mean, std = torch.linspace(-1, 2, inputs), torch.linspace(0.01, 6, inputs)
    return Normalization(mean, std, torch.tensor([0.5]), torch.tensor([20.0]), "test")


def network(module=None):
    torch.manual_seed(1)
    module = CNN(2, 1, width=4, depth=3, kernel=5) if module is None else module
    return Network(module, statistics()).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "tlnn"
    save_network(
        path,
        network(),
        factory="spectune.models:CNN",
        arguments={"inputs": 2, "outputs": 1, "width": 4, "depth": 3, "kernel": 5},
        grid=Grid.square(N),
        provenance={},
    )
    return path


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    """ψ̄ and ω̄ of three members in a file, and the network's Π."""
    path = tmp_path_factory.mktemp("fields") / "fields.bin"
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 2, N, N)).astype(np.float32)
    values.tofile(path)
    with torch.no_grad():
        return path, network()(torch.tensor(values)).numpy()


def same(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max(), rtol=0)


def call(command, program, fields, tmp_path):
    """Run a host and return the Π that it wrote."""
    target = tmp_path / "pi.bin"
    subprocess.run([*command, program, fields, target, "3", str(N), str(N)], check=True)
    return np.fromfile(target, np.float32).reshape(3, 1, N, N)


@pytest.mark.parametrize(("format", "name"), [("torchscript", "c.pt"), ("torch.export", "c.pt2")])
def test_it_gives_the_same_without_spectune(format, name, folder, fields, tmp_path):
    error = export_network(folder, tmp_path / name, format=format)
    assert error <= 1e-6
    source, expected = fields
    host = [sys.executable, "-c", ALONE, EXAMPLES / "use_closure.py"]
    same(call(host, tmp_path / name, source, tmp_path), expected)


@pytest.mark.skipif(
    shutil.which("g++") is None or not (TORCH / "include/torch/script.h").is_file(),
    reason="needs g++ and the headers of libtorch",
)
def test_it_gives_the_same_in_cpp(folder, fields, tmp_path):
    host = tmp_path / "use_closure"
    api = TORCH / "include/torch/csrc/api/include"
    options = [f"-I{TORCH / 'include'}", f"-I{api}", f"-L{TORCH / 'lib'}"]
    libraries = ["-ltorch", "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{TORCH / 'lib'}"]
    source = EXAMPLES / "use_closure.cpp"
    subprocess.run(
        ["g++", "-std=c++20", "-O0", source, *options, *libraries, "-o", host], check=True
    )
    export_network(folder, tmp_path / "c.pt")
    same(call([host], tmp_path / "c.pt", fields[0], tmp_path), fields[1])


def test_torchscript_takes_other_grids_and_any_number_of_samples(tmp_path):
    """Also with the normalisation of channels that differ by orders of magnitude."""
    own = network()
    export_network(own, tmp_path / "c.pt", shape=(N, N))
    program = torch.jit.load(tmp_path / "c.pt")
    for shape in ((1, 2, N, N), (5, 2, 12, 20)):
        x = torch.randn(shape)
        with torch.no_grad():
            same(program(x).numpy(), own(x).numpy())


def test_one_dimension_and_double_precision(tmp_path):
    own = Network(CNN(1, 1, width=2, depth=2, kernel=3, ndim=1), statistics(1)).double()
    for format in ("torchscript", "torch.export"):
        export_network(own, tmp_path / "c", format=format, shape=(24,))
    assert own.training  # as it was
    x = torch.randn(2, 1, 24, dtype=torch.float64)
    with torch.no_grad():
        found = torch.export.load(tmp_path / "c").module()(x)
        assert found.dtype == torch.float64
        torch.testing.assert_close(found, own(x))


class Branching(nn.Conv2d):
    """Decides by a value: a trace holds one of the branches only."""

    def __init__(self):
        super().__init__(2, 1, 1)

    def forward(self, x):
        y = super().forward(x)
        return y if len(x) > 1 else 2 * y


def test_a_program_that_gives_another_result_is_refused(tmp_path):
    path = tmp_path / "c.pt"
    path.write_text("an older file")
    with pytest.raises(ModelError, match=r"gives another Π .* by 0\.5 .*1e-06 .*torch\.where"):
        export_network(network(Branching()), path, shape=(N, N))
    assert path.read_text() == "an older file"
    assert list(tmp_path.iterdir()) == [path]


def test_dropout_is_off_in_what_is_exported(tmp_path):
    own = network(nn.Sequential(nn.Conv2d(2, 1, 3, padding=1), nn.Dropout(0.5))).train()
    assert export_network(own, tmp_path / "c.pt", shape=(N, N)) <= 1e-6


def test_errors(folder, tmp_path):
    with pytest.raises(ModelError, match=r"give its shape, for example shape=\(64, 64\)"):
        export_network(network(), tmp_path / "c.pt")
    with pytest.raises(ModelError, match="export format 'onnx': expected 'torchscript' or"):
        export_network(folder, tmp_path / "c.pt", format="onnx")
    with pytest.raises(ModelError, match=r"a Conv2d cannot be exported .*\(2, 2, 16, 16\)"):
        export_network(network(nn.Conv2d(3, 1, 1)), tmp_path / "c.pt", shape=(N, N))
    with pytest.raises(ModelError, match=r"network\.json, which is missing"):
        export_network(tmp_path, tmp_path / "c.pt")


def test_the_command(folder, tmp_path, monkeypatch, capsys):
    run = runner(tmp_path, monkeypatch, capsys)
    code, out, err = run("export", folder, "-o", "closure.pt")
    assert code in (0, None), err
    assert "closure.pt" in out
    assert torch.jit.load("closure.pt")(torch.zeros(1, 2, N, N)).shape == (1, 1, N, N)
    refused(run("export", "nowhere", "-o", "closure.pt"), "nowhere", "network.json")
    code, _, err = run("export", folder, "-o", "c.pt", "--format", "onnx")
    assert code == 2
    assert "onnx" in err
