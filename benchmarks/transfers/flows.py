"""The flows between which networks are transferred, and their pairs.

A flow that bases are trained on gives 200 pairs to train on, any other 50 to re-train on, and both
60 that are held out, which are later in time or, of an ensemble, other members. Every flow is
resolved: k_max of its direct simulation is not much below √(ω_rms/ν).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import spectune as st
from benchmarks.real_fields import real_fields
from benchmarks.transfers.folders import RUNS
from spectune.data import Pairs, PairStore

BASE, TARGET, HELD_OUT = 200, 50, 60
DAY = 86_400.0


@dataclass(frozen=True)
class Flow:
    """A system with its parameters, how it is sampled, and how it is coarse-grained.

    Attributes:
        name: of its folder.
        title: in words, for tables.
        system: name in the catalogue of systems.
        parameters: of the system.
        run: settings of the run: spin-up, interval, members.
        n: points of the coarse grid in each direction.
        training: pairs that are not held out.
        folder: where its pairs are kept.
    """

    name: str
    title: str
    system: str
    parameters: Mapping[str, Any]
    run: Mapping[str, Any]
    n: int
    training: int = BASE
    folder: Path = RUNS / "flows"

    @property
    def store(self) -> Path:
        """The pairs."""
        return self.folder / f"{self.name}.zarr"

    def make(self) -> None:
        """Simulate and coarse-grain, unless that is done."""
        finished = self.store.with_suffix(".done")
        if finished.exists():
            return
        run = self.store.with_suffix(".run.zarr")
        run.parent.mkdir(parents=True, exist_ok=True)
        members = self.run.get("members", 1)
        snapshots = (self.training + HELD_OUT) // members
        st.simulate(
            self.system,
            out=run,
            time=(snapshots - 1) * self.run["every"],
            resume=run.exists(),
            precision="float32",
            **self.run,
            **self.parameters,
        )
        st.coarsen(run, out=self.store, n=self.n, resume=self.store.exists())
        finished.touch()
        shutil.rmtree(run)

    def pairs(self) -> tuple[Pairs, Pairs]:
        """Return the training pairs and the held-out ones."""
        pairs = PairStore.open(self.store).read()
        return pairs.subset(slice(0, self.training)), pairs.subset(slice(self.training, None))


_fields = cache(real_fields)


@dataclass(frozen=True)
class Observed:
    """A sea, from satellite altimetry (see `benchmarks.real_fields`).

    Attributes:
        name: of its folder.
        title: in words, for tables.
        sets: the fields of `RealFields` that train and that are held out.
    """

    name: str
    title: str
    sets: tuple[str, str]

    @property
    def store(self) -> Path:
        """The pairs."""
        return RUNS / "flows" / f"{self.name}.zarr"

    def make(self) -> None:
        """Mark as made; the wheel with the maps is kept in the user's cache."""
        _fields()
        self.store.parent.mkdir(parents=True, exist_ok=True)
        self.store.with_suffix(".done").touch()

    def pairs(self) -> tuple[Pairs, Pairs]:
        """Return the training pairs and the held-out ones."""
        training, held_out = (getattr(_fields(), name) for name in self.sets)
        return training, held_out


def _navier_stokes(name: str, title: str, *, training: int = BASE, **given: Any) -> Flow:
    run = {"every": 0.7, "spinup": 21.0, "courant": 2.0}
    parameters = {"n": 256, "re": 1000.0, "kf": 4} | given
    return Flow(name, title, "navier-stokes", parameters, run, 64, training)


def _quasi_geostrophic(preset: str, spinup: int, training: int = BASE) -> Flow:
    run = {"every": 4 * DAY, "spinup": spinup * DAY, "members": 2}
    title, parameters = f"two-layer QG, {preset} regime", {"preset": preset, "n": 128}
    return Flow(f"qg-{preset}", title, "two-layer-qg", parameters, run, 32, training)


def _burgers(name: str, n: int, viscosity: float) -> Flow:
    run = {"every": 10.0, "spinup": 100.0, "members": 4, "group": 4}
    parameters = {"n": n, "viscosity": viscosity}
    return Flow(name, f"Burgers, ν = {viscosity:g}", "burgers", parameters, run, 128)


FLOWS = {
    flow.name: flow
    for flow in (
        _navier_stokes("forced", "k_f = 4, Re = 1000"),
        _navier_stokes("small-scale", "k_f = 25, Re = 1000", kf=25, energy=0.1),
        _navier_stokes("viscous", "k_f = 4, Re = 200", n=128, re=200.0),
        _navier_stokes("turbulent", "k_f = 4, Re = 5000", n=512, re=5000.0, training=TARGET),
        _navier_stokes("beta", "k_f = 4, Re = 1000, β = 20", beta=20.0, training=TARGET),
        Flow(
            "decaying",
            "decaying, Re = 1000",
            "navier-stokes",
            {"preset": "decaying", "n": 256},
            {"every": 0.5, "spinup": 2.0, "members": 20, "courant": 2.0},
            64,
        ),
        _quasi_geostrophic("eddy", 1200),
        _quasi_geostrophic("jet", 4800, TARGET),
        _burgers("burgers", 1024, 0.02),
        _burgers("burgers-thin", 4096, 0.004),
        Observed("ocean", "geostrophic flow, global ocean", ("base", "base_held_out")),
        Observed(
            "mediterranean",
            "geostrophic flow, Mediterranean",
            ("target", "target_held_out"),
        ),
    )
}


@dataclass(frozen=True)
class Transfer:
    """A base network's flow and the flow that it is re-trained for.

    Attributes:
        base, target: names of flows.
        half: "choose", on which defaults may be chosen, or "report", which is for judging them.
        paper: number of the case in Subel et al. 2023, at desk size, or None.
    """

    base: str
    target: str
    half: str
    paper: int | None = None

    @property
    def name(self) -> str:
        """Name in tables and folders."""
        return f"{self.base} → {self.target}"

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return f"{self.base}--{self.target}"


TRANSFERS = (
    Transfer("decaying", "forced", "choose", paper=1),
    Transfer("viscous", "turbulent", "report", paper=2),
    Transfer("small-scale", "forced", "choose", paper=3),
    Transfer("forced", "viscous", "choose"),
    Transfer("forced", "small-scale", "report"),
    Transfer("forced", "decaying", "report"),
    Transfer("forced", "beta", "choose"),
    Transfer("qg-eddy", "qg-jet", "report"),
    Transfer("burgers", "burgers-thin", "choose"),
    Transfer("ocean", "mediterranean", "report"),
)
