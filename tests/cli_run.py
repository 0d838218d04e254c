"""A user's folder, and the command line run in it."""

import sys

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import save_file

from spectune import cli
from spectune.models import CNN

DIMS = ("time", "y", "x")
MODULE = """
import torch
from torch import nn
from spectune.models import CNN

def net():
    return CNN(1, 1, width=2, depth=2, kernel=3)

class Fussy(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
    def forward(self, x):
        n, c, h, w, d = x.shape
        return self.conv(x)

class Shrinks(nn.Conv2d):
    def __init__(self):
        super().__init__(1, 1, 3)

class Pair(Shrinks):
    def forward(self, x):
        return x, x

class Huge(nn.Conv2d):
    def __init__(self):
        super().__init__(1, 1, 1)
        nn.init.constant_(self.weight, float("inf"))

def nothing():
    return nn.Identity()

def broken():
    raise RuntimeError("no such checkpoint")
"""


def runner(tmp_path, monkeypatch, capsys):
    """Return what runs a command in a user's folder and gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_module.py").write_text(MODULE)
    monkeypatch.delitem(sys.modules, "my_module", raising=False)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    torch.manual_seed(0)
    save_file(CNN(1, 1, width=2, depth=2, kernel=3).state_dict(), "w.safetensors")

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["spectune", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        return caught.value.code, out, err

    return command


def save(name, n=6, shape=(8, 12), **changes):
    rng = np.random.default_rng(0)
    data = {name: (DIMS, rng.normal(size=(n, *shape))) for name in "ab"} | changes
    data = {name: values for name, values in data.items() if values is not None}
    x = {"y": np.arange(shape[0]) * 0.5, "x": np.arange(shape[1]) * 0.5}
    xr.Dataset(data, x).to_netcdf(name, engine="h5netcdf")
    return name


def advise(*more, target="target.nc", model="my_module:net", weights="w.safetensors"):
    options = ["advise", "--model", model, "--target", target, "--inputs", "a", "--targets", "b"]
    return [*options, *(["--weights", weights] if weights else []), *more]


def refused(result, *words):
    """Check that there is one error, that it says what it must, and that nothing else is there."""
    code, _, err = result
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("error: ") == 1
    assert "Traceback" not in err
    for word in words:
        assert word in err, err
