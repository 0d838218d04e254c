"""``spectune verify``: forecast and truth side by side, killed and resumed, on workers."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli_run import advise, refused, runner, save
from pocket_run import wait_for

SPECTUNE = Path(sys.executable).with_name("spectune")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    return runner(tmp_path, monkeypatch, capsys)


def verify(*more, epochs=2):
    return ["verify", *advise()[1:], "--epochs", epochs, "--batch", 2, *more]


def truth(folder):
    values = json.loads((Path(folder) / "sweep.json").read_text())
    results = [*values["layers"], values["all_layers"]]
    return [{k: v for k, v in result.items() if k != "seconds"} for result in results]


def test_the_truth_beside_the_advice(run):
    save("target.nc", n=8)
    save("held-out.nc", n=5)
    assert run(*advise("--layers", "conv*", "conv1", "conv2"))[0] in (0, None)
    code, out, err = run(*verify("--held-out", "held-out.nc"))
    assert code in (0, None), err
    for word in ("Forecast and truth", "conv1", "conv*", "all layers", "regret", "Spearman"):
        assert word in out
    names = [result["name"] for result in truth("advice")]
    assert names == ["conv*", "conv1", "conv2", "all layers"]
    written = {path.name for path in Path("advice").iterdir()}
    assert written == {
        "advice.json", "advice.nc", "advice.pdf", "advice.png",
        "check.pdf", "check.png", "sweep", "sweep.json",
    }  # fmt: skip


def test_mistakes(run):
    save("target.nc")
    refused(run(*verify()), "advice.json: there is no advice; `spectune advise`")
    run(*advise())
    refused(run(*verify("--held-out", "nowhere.nc")), "nowhere.nc does not exist")
    refused(run(*verify("--workers", 0)), "workers = 0; expected 1 or more")
    refused(run(*verify("--workers", 2, "--scheduler", "tcp://a:1")), "expected one of them")
    run(*verify())
    refused(run(*verify(epochs=3)), "'epochs': 2", "'epochs': 3", "choose another folder")
    other = advise(model="my_module:Fussy", weights=None)[1:]
    refused(run("verify", *other), "the model cannot take inputs ['a']")


def test_killed_on_a_worker_and_resumed_without(run):
    """All processes are killed at the first result; the same command goes on here."""
    save("target.nc", n=8, shape=(24, 24))
    run(*advise())
    command = [str(word) for word in verify("--workers", 1, epochs=20)]
    process = subprocess.Popen(
        [SPECTUNE, *command], start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    sweep = Path("advice/sweep")
    wait_for(lambda: list(sweep.glob("[!.]*.json")), process, seconds=180)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = {path: path.stat().st_mtime_ns for path in sweep.glob("[!.]*.json")}
    assert 0 < len(done) <= 3
    assert run(*verify(epochs=20))[0] in (0, None)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in done.items())
    run(*advise("--out", "whole"))
    assert run(*verify("--advice", "whole", epochs=20))[0] in (0, None)
    assert truth("advice") == truth("whole")
