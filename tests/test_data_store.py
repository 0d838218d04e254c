"""The store of pairs: it grows, stays readable, and survives kills and full disks."""

import _thread
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
import zarr

from spectune import durable
from spectune.data import Pairs, PairStore
from spectune.errors import DataError
from spectune.grid import Grid

GRID = Grid((4, 6), (1.0, 2.0), ("y", "x"), unit="m")
UNITS = {"psi": "m2 s-1", "omega": "s-1", "pi": "s-2", "time": "s"}
BLOCK = 4


def create(path: Path, block: int | None = BLOCK) -> PairStore:
    return PairStore.create(
        path, GRID, ["psi", "omega"], ["pi"], UNITS, {"seed": 7, "system": "test"}, block=block
    )


def samples(begin: int, end: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Samples whose values tell which sample, channel and point they are."""
    time = torch.arange(begin, end, dtype=torch.float64)
    values = (
        time.float().reshape(-1, 1, 1, 1) * 1000
        + torch.arange(3.0).reshape(3, 1, 1) * 100
        + torch.arange(24.0).reshape(4, 6)
    )
    return values[:, :2], values[:, 2:], time


def assert_holds(path: Path, n: int) -> None:
    """The store holds exactly the first n samples, for xarray and for PairStore."""
    inputs, targets, time = samples(0, n)
    with xr.open_zarr(path) as dataset:
        assert dataset.sizes["time"] == n
        np.testing.assert_array_equal(dataset.psi, inputs[:, 0])
        np.testing.assert_array_equal(dataset.omega, inputs[:, 1])
        np.testing.assert_array_equal(dataset.pi, targets[:, 0])
        np.testing.assert_array_equal(dataset.time, time)
    store = PairStore.open(path)
    assert len(store) == n
    pairs = store.read()
    assert torch.equal(pairs.inputs, inputs)
    assert torch.equal(pairs.targets, targets)
    assert pairs.time is not None
    assert torch.equal(pairs.time, time)


def files(path: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()
    }


def test_description_and_coordinates(tmp_path: Path) -> None:
    path = tmp_path / "p.zarr"
    create(path).append(*samples(0, 3))
    with xr.open_zarr(path) as dataset:
        assert dataset.attrs["Conventions"] == "CF-1.11"
        assert dataset.psi.dims == ("time", "y", "x")
        assert dataset.psi.dtype == np.float32
        assert dataset.time.dtype == np.float64
        assert dataset.psi.attrs == {"long_name": "stream function", "units": "m2 s-1"}
        assert dataset.omega.attrs["long_name"] == "vorticity"
        assert dataset.pi.attrs["long_name"] == "subgrid term of the vorticity equation"
        assert dataset.time.attrs["units"] == "s"
        assert dataset.x.attrs["units"] == "m"
        np.testing.assert_array_equal(dataset.x, GRID.coordinates()[1])
        assert json.loads(dataset.attrs["spectune"])["provenance"] == {"seed": 7, "system": "test"}
    store = PairStore.open(path)
    assert store.grid == GRID
    assert (store.input_names, store.target_names) == (("psi", "omega"), ("pi",))
    assert store.units == UNITS
    assert store.attributes == {"seed": 7, "system": "test"}
    assert store.block == BLOCK
    pairs = store.read()
    assert isinstance(pairs, Pairs)
    assert pairs.grid == GRID
    assert pairs.provenance == {"file": str(path), "seed": 7, "system": "test"}


def test_empty_store_is_readable(tmp_path: Path) -> None:
    create(tmp_path / "p.zarr")
    assert_holds(tmp_path / "p.zarr", 0)


def test_grows_through_one_handle_and_by_reopening(tmp_path: Path) -> None:
    path = tmp_path / "p.zarr"
    store = create(path)
    for begin, end in ((0, 1), (1, 4), (4, 4), (4, 11)):
        store.append(*samples(begin, end))
        assert len(store) == end
        assert_holds(path, end)
    PairStore.open(path).append(*samples(11, 14))
    assert_holds(path, 14)


def test_bytes_depend_on_samples_alone(tmp_path: Path) -> None:
    create(tmp_path / "whole.zarr").append(*samples(0, 10))
    store = create(tmp_path / "parts.zarr")
    for begin, end in ((0, 3), (3, 9), (9, 10)):
        store.append(*samples(begin, end))
    assert files(tmp_path / "parts.zarr") == files(tmp_path / "whole.zarr")


def test_samples_of_an_ensemble(tmp_path: Path) -> None:
    """Times may come twice, each sample keeps its member, and a truncated store its bytes."""
    stores = []
    for name in ("p.zarr", "same.zarr"):
        store = PairStore.create(
            tmp_path / name, GRID, ["psi", "omega"], ["pi"], UNITS, {}, ensemble=True, block=BLOCK
        )
        stores.append(store)
        assert PairStore.open(store.path).ensemble
    inputs, targets, _ = samples(0, 6)
    time, member = torch.arange(6).double() % 3, torch.arange(6) // 3
    stores[0].append(inputs, targets, time, member)
    with xr.open_zarr(stores[0].path) as dataset:
        assert dataset.pi.dims == ("sample", "y", "x")
        assert set(dataset.coords) == {"time", "member", "y", "x"}
        assert dataset.member.dtype == np.int64
        assert dataset.member.attrs["standard_name"] == "realization"
        np.testing.assert_array_equal(dataset.member, member)
    pairs = PairStore.open(stores[0].path).read()
    assert torch.equal(pairs.member, member)
    assert torch.equal(pairs.time, time)
    stores[0].truncate(5)
    stores[1].append(inputs[:5], targets[:5], time[:5], member[:5])
    chunks = [
        {k: v for k, v in files(store.path).items() if "/c." in k and k[0] != "."}
        for store in stores
    ]
    assert chunks[0] == chunks[1]
    with pytest.raises(DataError, match="found no members of the samples, expected one for each"):
        stores[0].append(inputs, targets, time)
    with pytest.raises(DataError, match="found members of the samples, expected none"):
        create(tmp_path / "none.zarr").append(inputs, targets, time, member)
    with pytest.raises(DataError, match=r"member has shape \(2,\), expected \(6,\)"):
        stores[0].append(inputs, targets, time, member[:2])


def test_full_chunks_are_never_written_again(tmp_path: Path) -> None:
    path = tmp_path / "p.zarr"
    store = create(path)
    store.append(*samples(0, 9))
    full = [path / name / f"c.{i}.0.0" for name in ("psi", "omega", "pi") for i in range(2)]
    before = [file.stat().st_ino for file in full]
    store.append(*samples(9, 14))
    assert [file.stat().st_ino for file in full] == before


def test_default_block_fits_a_mebibyte(tmp_path: Path) -> None:
    store = PairStore.create(tmp_path / "p.zarr", Grid.square(128), ["a"], ["b"], {}, {})
    assert store.block * 128 * 128 * 4 == 2**20


@pytest.mark.parametrize("n", [0, 3, 4, 7, 10])
def test_truncate_then_append(tmp_path: Path, n: int) -> None:
    path = tmp_path / "p.zarr"
    store = create(path)
    store.append(*samples(0, 10))
    store.truncate(n)
    assert_holds(path, n)
    create(tmp_path / "same.zarr").append(*samples(0, n))
    if n:
        assert {k: v for k, v in files(path).items() if "/c." in k} == {
            k: v for k, v in files(tmp_path / "same.zarr").items() if "/c." in k
        }
    store.append(*samples(n, 10))
    assert_holds(path, 10)
    with pytest.raises(DataError, match="has 10 samples; cannot be truncated to 11"):
        store.truncate(11)


class Failing:
    """Stands for `write_bytes` and fails at one of its calls, before or after the rename."""

    def __init__(self, at: int, error: OSError | None, after: bool) -> None:
        self.at, self.error, self.after, self.calls = at, error, after, 0
        self.write = durable.write_bytes

    def __call__(self, path: Path, content: bytes) -> None:
        self.calls += 1
        if self.calls == self.at and not self.after:
            self.fail()
        self.write(path, content)
        if self.calls == self.at and self.after:
            self.fail()

    def fail(self) -> None:
        if self.error is None:
            _thread.interrupt_main()  # what Ctrl-C does: it reaches the main thread
        else:
            raise self.error


def inject(monkeypatch: pytest.MonkeyPatch, failing: Failing) -> None:
    monkeypatch.setattr("spectune.durable.write_bytes", failing)


def count_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Number of files that the append of the failure tests writes."""
    store = create(tmp_path / "count.zarr")
    store.append(*samples(0, 6))
    with monkeypatch.context() as patch:
        counting = Failing(0, None, after=False)
        inject(patch, counting)
        store.append(*samples(6, 12))
    return counting.calls


@pytest.mark.parametrize("after", [False, True])
def test_disk_full_at_every_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    writes = count_writes(tmp_path, monkeypatch)
    assert writes == 4 + 4 * 2 + 1  # four lengths, four arrays of two chunks, the commit
    whole = files(tmp_path / "count.zarr")
    # After the rename only the commit behaves differently from what comes before the next one.
    # (omega and pi, writes 5 to 9, are like psi.)
    for at in [writes] if after else [1, 2, 3, 4, *range(10, writes + 1)]:
        path = tmp_path / f"{at}.zarr"
        store = create(path)
        store.append(*samples(0, 6))
        with monkeypatch.context() as patch:
            inject(patch, Failing(at, OSError(errno.ENOSPC, "No space left on device"), after))
            with pytest.raises(DataError) as caught:
                store.append(*samples(6, 12))
        committed = 12 if after and at == writes else 6
        assert len(store) == committed
        assert_holds(path, committed)
        message = str(caught.value)
        assert str(path) in message
        assert "No space left on device" in message
        assert f"The {committed} committed samples are kept" in message
        assert "same command resumes" in message
        if at % 2:
            store = PairStore.open(path)
        store.append(*samples(committed, 12))
        assert_holds(path, 12)
        assert files(path) == whole


@pytest.mark.parametrize("at", [1, 6, 13])
def test_interrupt_finishes_the_append(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    path = tmp_path / "p.zarr"
    store = create(path)
    store.append(*samples(0, 6))
    with monkeypatch.context() as patch:
        inject(patch, Failing(at, None, after=False))
        with pytest.raises(KeyboardInterrupt):
            store.append(*samples(6, 13))
    assert len(store) == 13
    assert_holds(path, 13)
    store.append(*samples(13, 14))
    assert_holds(path, 14)


def test_reading_does_not_disturb_uncommitted_work(tmp_path: Path) -> None:
    path = tmp_path / "p.zarr"
    store = create(path)
    store.append(*samples(0, 6))
    zarr.open_array(path / "psi", mode="r+").resize((50, 4, 6))
    before = files(path)
    assert_holds(path, 6)
    assert files(path) == before


# Runs in a process of its own that forks writers and readers before zarr starts any thread.
KILLS = """
import os, random, signal, sys, time
from pathlib import Path
from test_data_store import PairStore, assert_holds, create, samples
import xarray as xr

path, rng, rounds = Path(sys.argv[1]), random.Random(0), 5

def forked(work):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        os._exit(code)
    return pid

def write():
    store = PairStore.open(path)
    while True:
        store.append(*samples(len(store), len(store) + 5))

def read():
    seen = -1
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        with xr.open_zarr(path) as dataset:
            n = dataset.sizes["time"]
            assert n % 5 == 0 and n >= seen, (n, seen)
            assert (dataset.pi.values == samples(0, n)[1][:, 0].numpy()).all()
            seen = n

def check(counts):
    n = len(PairStore.open(path))
    assert n % 5 == 0, n
    assert_holds(path, n)
    Path(counts).write_text(str(n))

def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

assert ended(forked(lambda: create(path))) == 0
counts = []
for i in range(rounds):
    writer = forked(write)
    reader = forked(read) if i == 0 else None
    time.sleep(0.6 + rng.random() * 0.1 if i == 0 else 0.1 + 0.2 * rng.random())
    os.kill(writer, signal.SIGKILL)
    assert ended(writer) == -signal.SIGKILL
    if reader:
        assert ended(reader) == 0, "reader"
    assert ended(forked(lambda: check(sys.argv[2]))) == 0, "check"
    counts.append(int(Path(sys.argv[2]).read_text()))
print(counts)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_survives_kill(tmp_path: Path) -> None:
    path = tmp_path / "p.zarr"
    run = subprocess.run(
        [sys.executable, "-c", KILLS, str(path), str(tmp_path / "count")],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    counts = json.loads(run.stdout)
    assert counts == sorted(counts)
    assert counts[-1] > counts[0] > 0  # every writer goes on from where the killed one was
    store = PairStore.open(path)
    n = len(store)
    store.append(*samples(n, n + 3))
    assert_holds(path, n + 3)
    create(tmp_path / "whole.zarr").append(*samples(0, n + 3))
    assert files(path) == files(tmp_path / "whole.zarr")


def test_killed_creation_leaves_nothing_under_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.zarr"
    with monkeypatch.context() as patch:
        inject(patch, Failing(3, OSError(errno.ENOSPC, "No space left on device"), after=False))
        with pytest.raises(DataError, match=r"p\.zarr cannot be created: No space left"):
            create(path)
    assert not path.exists()
    create(path)
    assert_holds(path, 0)
    assert list(tmp_path.iterdir()) == [path]


def test_refuses_existing_path(tmp_path: Path) -> None:
    create(tmp_path / "p.zarr").append(*samples(0, 2))
    with pytest.raises(DataError, match=r"exists already: PairStore\.open continues it"):
        create(tmp_path / "p.zarr")
    assert_holds(tmp_path / "p.zarr", 2)


@pytest.mark.parametrize(
    "names", [(["x"], ["pi"]), (["a"], ["a"]), (["time"], ["pi"]), ([], ["b"])]
)
def test_refuses_clashing_names(tmp_path: Path, names: tuple[list[str], list[str]]) -> None:
    with pytest.raises(DataError, match=r"p\.zarr"):
        PairStore.create(tmp_path / "p.zarr", GRID, *names, {}, {})
    assert not (tmp_path / "p.zarr").exists()


def test_open_refuses_what_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        PairStore.open(tmp_path / "none.zarr")
    xr.Dataset({"a": ("x", [1.0, 2.0])}).to_zarr(tmp_path / "other.zarr", consolidated=False)
    with pytest.raises(DataError, match=r"not a store of pairs.*open_pairs"):
        PairStore.open(tmp_path / "other.zarr")


def test_append_refuses_wrong_shapes_and_nan(tmp_path: Path) -> None:
    store = create(tmp_path / "p.zarr")
    store.append(*samples(0, 2))
    inputs, targets, time = samples(2, 5)
    with pytest.raises(DataError, match=r"shape \(3, 1, 4, 6\), expected \(3, 2, 4, 6\)"):
        store.append(inputs[:, :1], targets, time)
    with pytest.raises(DataError, match=r"time has shape \(2,\), expected \(3,\)"):
        store.append(inputs, targets, time[:2])
    inputs = inputs.clone()
    inputs[1, 1, 2, 3] = torch.nan
    with pytest.raises(DataError, match=r"'omega' is NaN or Inf.*1 of 3 samples.*position 1"):
        store.append(inputs, targets, time)
    with pytest.raises(DataError, match="'pi' is NaN or Inf in float32"):
        store.append(samples(2, 5)[0], targets.double() * 1e36, time)
    assert_holds(tmp_path / "p.zarr", 2)


def test_lost_chunk_reads_as_nan_not_zero(tmp_path: Path) -> None:
    store = create(tmp_path / "p.zarr")
    store.append(*samples(0, 8))
    (tmp_path / "p.zarr" / "pi" / "c.1.0.0").unlink()
    assert store.read().targets[4:].isnan().all()
    (tmp_path / "p.zarr" / "pi" / "c.0.0.0").write_bytes(b"not zstd")
    with pytest.raises(DataError, match="variable 'pi' is corrupt"):
        store.read()
