"""A made-up but physically plausible run folder, for the tests of the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

N = 64
K = np.arange(0, N // 2 + 1)
LAYERS = [f"conv{i}" for i in range(1, 12)]
CLOSURES = ["filtered DNS", "no closure", "Smagorinsky", "BNN", "TLNN"]
CRITERIA = [
    "attainable decrease",
    "Auto-RGN",
    "Auto-SNR",
    "Hessian trace",
    "first",
    "last",
    "random",
]
STATES = ["BNN, base input", "BNN, target input", "TLNN, target input"]


def peaked(peak: float, low: float, high: float, amplitude: float) -> np.ndarray:
    k = np.maximum(K, 0.5) / peak
    spectrum = amplitude * k**low / (1 + k ** (low + high))
    spectrum[0] = 0.0
    return spectrum


def field(spectrum: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    ky, kx = np.meshgrid(np.fft.fftfreq(N, 1 / N), np.fft.fftfreq(N, 1 / N), indexing="ij")
    radius = np.hypot(kx, ky)
    level = np.interp(radius, K, spectrum / np.maximum(2 * np.pi * np.maximum(K, 1), 1), right=0.0)
    noise = np.fft.fft2(rng.normal(size=(N, N)))
    return np.real(np.fft.ifft2(noise * np.sqrt(level))) * N


def run_json() -> dict[str, Any]:
    flow = {"reynolds": 1000.0, "drag": 0.1, "beta": 0.0, "interval": 0.7, "training": 200}
    return {
        "title": "2D turbulence forced at k = 25 → forced at k = 4",
        "case": {
            "name": "demo",
            "seed": 1,
            "grid": {"dns": 256, "les": N},
            "base": flow | {"forcing_wavenumber": 25, "dt": 0.007, "held_out": 40},
            "target": flow | {"forcing_wavenumber": 4, "training": 50, "dt": 0.0035, "held_out": 9},
            "network": {"width": 16, "depth": 11, "kernel": 5, "padding": "circular"},
            "training": {"epochs": 40, "batch": 8, "learning_rate": 1e-3},
            "transfer": {"epochs": 30, "batch": 5, "learning_rate": 1e-3},
            "advice": {"samples": 20},
            "online": {"time": 42.0, "dt": 0.01, "interval": 0.7},
        },
        "command": "spectune demo",
        "seed": 1,
        "versions": {"python": "3.12.0", "spectune": "0.1.0", "torch": "2.13.0"},
        "machine": {"cores": 2, "platform": "Linux"},
        "stages": [
            {"name": name, "seconds": seconds}
            for name, seconds in [
                ("simulate", 85.2), ("train", 120.4), ("advise", 12.3), ("verify", 80.5),
                ("explain", 4.1), ("online", 61.0),
            ]
        ],
    }  # fmt: skip


def flows(rng: np.random.Generator) -> xr.Dataset:
    omega = [peaked(22, 3, 4, 3.0), peaked(4, 2, 3, 5.0)]
    pi = [peaked(24, 2.5, 2, 20.0), peaked(12, 2, 2.5, 0.7)]
    psi = [spectrum / np.maximum(K, 1) ** 4 for spectrum in omega]
    data = {}
    for name, spectra in {"psi": psi, "omega": omega, "pi": pi}.items():
        data[name] = (("flow", "y", "x"), np.stack([field(s, rng) for s in spectra]))
        data[f"{name}_spectrum"] = (("flow", "wavenumber"), np.stack(spectra))
        data[f"rms_{name}"] = (("flow",), np.sqrt([s.sum() for s in spectra]))
    energy = np.stack([s / np.maximum(K, 1) ** 2 / 2 for s in omega])
    data["energy_spectrum"] = (("flow", "wavenumber"), energy)
    x = np.arange(N) * 2 * np.pi / N
    return xr.Dataset(data, {"flow": ["base", "target"], "y": x, "x": x, "wavenumber": K})


def offline(rng: np.random.Generator, tlnn_error: float) -> xr.Dataset:
    truth = np.stack([peaked(24, 2.5, 2, 20.0)] + [peaked(12, 2, 2.5, 0.7)] * 2)
    gain = np.stack([1 + 0 * K, 0.4 + 1.8 * K / 32, 1 + 0.2 * (K / 32) ** 2])
    noise = np.stack([0.08 + 0 * K, 0.4 + 1.4 * (K / 32) ** 2, 0.15 + 0.4 * (K / 32) ** 2])
    names = ["BNN on base", "BNN on target", "TLNN on target"]
    field_truth = field(truth[1], rng)
    dims = ("experiment", "wavenumber")
    return xr.Dataset(
        {
            "truth_spectrum": (dims, truth),
            "prediction_spectrum": (dims, truth * gain),
            "error_spectrum": (dims, truth * noise),
            "correlation": ("experiment", [0.96, 0.71, 0.85]),
            "relative_mse": ("experiment", [0.081, 0.903, tlnn_error]),
            "spectrum_error": ("experiment", [0.05, 0.62, 0.14]),
            "band_spectrum_error": (
                ("experiment", "band"),
                [[0.04, 0.05, 0.06], [0.45, 0.21, 0.92], [0.08, 0.1, 0.19]],
            ),
            "truth": (("y", "x"), field_truth),
            "bnn": (("y", "x"), 0.8 * field_truth + field(0.8 * truth[1], rng)),
            "tlnn": (("y", "x"), 0.95 * field_truth + field(0.2 * truth[1], rng)),
        },
        {
            "experiment": names,
            "wavenumber": K,
            "band": ["large", "intermediate", "small"],
            "band_low": ("band", [0, 4, 12]),
            "band_high": ("band", [4, 12, 32]),
        },
    )


PREDICTED = np.array([0.52, 0.44, 0.46, 0.49, 0.55, 0.58, 0.62, 0.66, 0.71, 0.76, 0.80])
MEASURED = np.array([0.50, 0.43, 0.45, 0.52, 0.53, 0.60, 0.61, 0.68, 0.70, 0.79, 0.84])


def advice_json(best: str) -> dict[str, Any]:
    layers = [
        {
            "name": name,
            "kind": "Conv2d",
            "weights": 800 if i == 0 else (401 if i == 10 else 6416),
            "share": 0.0137 if i == 0 else (0.007 if i == 10 else 0.11),
            "predicted_error": float(PREDICTED[i]),
            "low": float(PREDICTED[i] - 0.04),
            "high": float(PREDICTED[i] + 0.05),
            "band": "small" if i < 6 else "large",
            "votes": 2 if i < 3 else 0,
            "obstacle": "",
            "scores": {
                "attainable decrease": float(0.903 - PREDICTED[i]),
                "Auto-RGN": 0.1 / (i + 1),
                "Auto-SNR": 0.2 + 0.01 * i,
                "Hessian trace": float("nan") if i == 4 else 3.0 + i,
            },
        }
        for i, name in enumerate(LAYERS)
    ]
    order = [LAYERS[i] for i in np.argsort(PREDICTED)]
    order.remove(best)
    return {
        "best": best,
        "seconds": 12.3,
        "samples": 20,
        "bnn_error": 0.90,
        "voters": ["Auto-RGN", "Auto-SNR", "Hessian trace"],
        "reason": f"Re-training {best} alone can remove about half of the error, most of it at the "
        "small scales, where the base network is furthest off.",
        "layers": layers,
        "rankings": {
            "attainable decrease": [best, *order],
            "Auto-RGN": LAYERS,
            "Auto-SNR": LAYERS[::-1],
            "first layer": LAYERS,
            "last layer": LAYERS[::-1],
        },
    }


def advice_nc() -> xr.Dataset:
    depth = np.arange(11)[:, None] / 10
    share = 0.75 - 0.6 * depth - 0.4 * np.abs(np.log(np.maximum(K, 1) / 20))[None] / 3
    share = share - 0.4 * depth * (K / 32)
    share[9:, -6:] = -2.0
    truth = peaked(12, 2, 2.5, 0.7)
    return xr.Dataset(
        {
            "correctable": (("layer", "wavenumber"), share),
            "error_spectrum": ("wavenumber", truth * (0.4 + 1.4 * (K / 32) ** 2)),
            "truth_spectrum": ("wavenumber", truth),
        },
        {"layer": LAYERS, "wavenumber": K},
    )


def sweep_json(all_layers: float, advised: str) -> dict[str, Any]:
    best, bnn = MEASURED.min(), 0.903
    choices = dict(zip(CRITERIA, [LAYERS.index(advised), 0, 10, 10, 0, 10, 6], strict=True))
    ranks = np.argsort(np.argsort(MEASURED))
    agreement = float(np.corrcoef(ranks, np.argsort(np.argsort(PREDICTED)))[0, 1])
    return {
        "bnn_error": bnn,
        "layers": [
            {
                "name": name,
                "error": float(error),
                "correlation": float(np.sqrt(max(0.0, 1 - error))),
                "spectrum_error": float(0.4 * error),
                "seconds": 7.3,
            }
            for name, error in zip(LAYERS, MEASURED, strict=True)
        ],
        "all_layers": {
            "error": all_layers,
            "correlation": 0.8,
            "spectrum_error": 0.2,
            "seconds": 9,
        },
        "seconds": 80.5,
        "comparison": {
            criterion: {
                "choice": LAYERS[i],
                "regret": float((MEASURED[i] - best) / (bnn - best)),
                "spearman": agreement if criterion == "attainable decrease" else None,
                "rank_of_choice": int(ranks[i]) + 1,
            }
            for criterion, i in choices.items()
        },
    }


def explanation(rng: np.random.Generator, layer: str) -> xr.Dataset:
    base = np.stack([peaked(24 - i, 1.5, 2, 1.0) for i in range(11)])
    target = np.stack([peaked(6 + i, 1.5, 2, 1.5) for i in range(11)])
    tlnn = target * (1 + 0.8 * (K / 32) * (np.arange(11)[:, None] >= 1))
    linear = np.stack([base, target, tlnn])
    nonlinear = 0.4 * linear + 0.02
    nonlinear[:, -1] = np.nan
    ky, kx = np.fft.fftfreq(N, 1 / N), np.arange(N // 2 + 1)
    before, after = [], []
    for _ in range(8):
        weights = rng.normal(size=(5, 5)) * 0.1
        before.append(np.abs(np.fft.rfft2(weights, (N, N))))
        after.append(np.abs(np.fft.rfft2(weights + rng.normal(size=(5, 5)) * 0.06, (N, N))))
    kinds = ["low-pass", "band-pass", "high-pass", "Gabor"]
    distance = 9.0 - 0.3 * np.arange(11) + 2.0 * (np.arange(11) >= 4)
    k_in = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 31.0])
    gain = np.exp(-np.abs(np.log(np.maximum(K, 0.5)[None] / k_in[:, None])))
    transfer = np.stack([gain, 0.8 * gain, gain * (1 + K / 32)])
    share = np.full((3, 11), 0.4) * (1 - np.arange(11) / 12)
    share[:, -1] = np.nan
    states = ("state", "layer", "wavenumber")
    curves = ("transfer_state", "wavenumber_in", "wavenumber_out")
    return xr.Dataset(
        {
            "linear": (states, linear),
            "nonlinear": (states, nonlinear),
            "moved": (states, 0.1 * linear),
            "moved_share": (("state", "layer"), share),
            "nyquist": ("layer", np.full(11, 32.0)),
            "distance": (("stage", "layer"), np.stack([distance, 0.7 * distance])),
            "distance_of_inputs": ((), 9.5),
            "weight_change": ("layer", 0.05 + 0.2 * rng.random(11)),
            "response_before": (("kernel", "ky", "kx"), np.stack(before)),
            "response_after": (("kernel", "ky", "kx"), np.stack(after)),
            "kernel_in": ("kernel", np.arange(8)),
            "kernel_out": ("kernel", np.arange(8)[::-1] * 2),
            "class_before": ("kernel", [kinds[i % 4] for i in range(8)]),
            "class_after": ("kernel", [kinds[(i // 2) % 4] for i in range(8)]),
            "centre_before": ("kernel", 4.0 + 3 * np.arange(8)),
            "centre_after": ("kernel", 6.0 + 3 * np.arange(8)),
            "class_count": (("stage", "kernel_class"), [[60, 90, 56, 50], [50, 80, 66, 60]]),
            "mean_response": (
                ("stage", "wavenumber"),
                np.stack([0.3 + 0.004 * K, 0.3 + 0.008 * K]),
            ),
            "gallery_response": (("shown", "ky", "kx"), np.stack(before)),
            "gallery_class": ("shown", [kinds[i % 4] for i in range(8)]),
            "gallery_in": ("shown", np.arange(8)),
            "gallery_out": ("shown", np.arange(8)),
            "gallery_centre": ("shown", 4.0 + 3 * np.arange(8)),
            "gallery_orientation": (("shown", "axis"), np.tile([0.6, 0.8], (8, 1))),
            "weight_change_relative": ("convolution", 0.05 + 0.2 * rng.random(11)),
            "response_change_relative": ("convolution", 0.04 + 0.1 * rng.random(11)),
            "alignment": ("convolution", np.linspace(-0.9, 0.9, 11)),
            "alignment_p": ("convolution", np.linspace(0.01, 0.9, 11)),
            "log_spectrum_ratio": ("wavenumber", np.log(np.maximum(K, 1) / 10)),
            "log_response_ratio": ("wavenumber", -0.1 * np.log(np.maximum(K, 1) / 10)),
            "transfer": (curves, transfer),
            "transfer_error": (curves, 0.05 * transfer),
            "transfer_total": (curves[:2], transfer.sum(2)),
            "transfer_total_error": (curves[:2], 0.05 * transfer.sum(2)),
            "corrected": ("wavenumber", 0.8 - K / 32),
            "correctable": ("wavenumber", 0.9 - K / 40),
            "coherence": (
                ("stage", "target", "wavenumber"),
                np.stack([0.4 + 0 * K, 0.8 - K / 64])[:, None],
            ),
        },
        {
            "state": STATES,
            "transfer_state": STATES,
            "layer": LAYERS,
            "convolution": LAYERS,
            "wavenumber": K,
            "wavenumber_in": k_in,
            "wavenumber_out": K,
            "ky": ky,
            "kx": kx,
            "axis": ["y", "x"],
            "target": ["pi"],
            "stage": ["before", "after"],
            "kernel_class": kinds,
        },
        {
            "layer": layer,
            "parting_layer": "conv5",
            "parting_rise": 1.7,
            "parting_share": 0.93,
            "joining_layer": "conv2",
            "joining_rise": 2.6,
            "joining_share": 1.0,
        },
    )


def online(rng: np.random.Generator, blow_up: dict[str, float]) -> xr.Dataset:
    truth = peaked(4, 2, 5, 1.0)
    pile = np.array([0.0, 3.0, -0.5, 1.5, 0.2])[:, None]
    energy_spectrum = truth * np.exp(pile * (K / 32) ** 3)
    omega_spectrum = [peaked(4, 2, 3, 5.0) * np.exp(p * (K / 32) ** 3) for p in pile[:, 0]]
    omega = np.stack([field(s, rng) for s in omega_spectrum])
    bins = np.linspace(-6, 6, 61)
    width = np.array([1.0, 1.25, 0.92, 1.1, 1.02])[:, None]
    pdf = np.exp(-0.5 * (bins / width) ** 2) / (width * np.sqrt(2 * np.pi))
    pdf[np.abs(pdf) < 1e-6] = 0.0
    time = np.arange(0, 42.01, 0.7)
    energy = 1.2 + 0.1 * np.sin(time / 3 + 0.4 * np.arange(5)[:, None]) * (1 + 0.3 * pile)
    scores = {
        "energy_spectrum_error": [0.0, 0.9, 0.3, 0.4, 0.1],
        "enstrophy_spectrum_error": [0.0, 1.1, 0.32, 0.45, 0.12],
        "pdf_distance": [0.0, 0.2, 0.08, 0.09, 0.03],
        "similarity": [1.0, 0.0, 0.66, 0.55, 0.88],
        "backscatter_fraction": [0.42, np.nan, 0.0, 0.37, 0.41],
    }
    stable = np.full(5, np.nan)
    for name, at in blow_up.items():
        i = CLOSURES.index(name)
        stable[i] = at
        omega[i] = np.nan
        energy_spectrum[i] = np.nan
        pdf[i] = np.nan
        energy[i, time > at] = np.nan
        for values in scores.values():
            values[i] = np.nan
    names = ("closure", "wavenumber")
    return xr.Dataset(
        {
            "energy_spectrum": (names, energy_spectrum),
            "enstrophy_spectrum": (names, energy_spectrum * K**2),
            "vorticity_pdf": (("closure", "bin"), pdf),
            "energy": (("closure", "time"), energy),
            "enstrophy": (("closure", "time"), energy * 10),
            "omega": (("closure", "y", "x"), omega),
            "stable_until": ("closure", stable),
        }
        | {name: ("closure", values) for name, values in scores.items()}
        | {
            "sampling_energy_spectrum_error": ((), 0.07),
            "sampling_enstrophy_spectrum_error": ((), 0.08),
            "sampling_pdf_distance": ((), 0.019),
        },
        {"closure": CLOSURES, "wavenumber": K, "time": time, "bin": bins},
    )


def write_run(
    folder: Path,
    *,
    advised: str = "conv2",
    all_layers: float = 0.31,
    blow_up: dict[str, float] | None = None,
    tlnn_error: float = 0.438,
) -> Path:
    """Write a whole run folder; the arguments choose the outcome."""
    rng = np.random.default_rng(7)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {
        "run.json": run_json(),
        "advice.json": advice_json(advised),
        "sweep.json": sweep_json(all_layers, advised),
    }.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    for name, dataset in {
        "flows.nc": flows(rng),
        "offline.nc": offline(rng, tlnn_error),
        "advice.nc": advice_nc(),
        "explanation.nc": explanation(rng, advised),
        "online.nc": online(rng, blow_up or {}),
    }.items():
        dataset.to_netcdf(folder / name, engine="h5netcdf")
    return folder
