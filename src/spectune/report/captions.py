"""What each figure shows in this run: a claim computed from the data, then how to read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr

from spectune.report.findings import Findings
from spectune.report.run_folder import RunFolder
from spectune.report.sentences import closure_name, figure_of, les_sentences
from spectune.report.style import log_values, plain

__all__ = ["CAPTIONS", "Caption"]


@dataclass(frozen=True)
class Caption:
    """A claim and how to read the figure that supports it."""

    claim: str
    reading: str


def _peak(spectrum: xr.DataArray) -> float:
    values = np.nan_to_num(np.asarray(spectrum, dtype=float))
    k = np.asarray(spectrum["wavenumber"], dtype=float)
    return float(k[k >= 1][np.argmax(values[k >= 1])])


def _flows(run: RunFolder, _found: Findings) -> Caption:
    flows = run.flows
    peaks = [_peak(flows["omega_spectrum"].sel(flow=f)) for f in ("base", "target")]
    ratio = float(flows["rms_pi"].sel(flow="target") / flows["rms_pi"].sel(flow="base"))
    where = (
        f"The vorticity of the base flow peaks at k = {plain(peaks[0])}, "
        f"that of the target at k = {plain(peaks[1])}"
    )
    how = (
        f"and the subgrid term is {plain(round(1 / ratio, 1))} times weaker there."
        if ratio < 1
        else f"and the subgrid term is {plain(round(ratio, 1))} times stronger there."
    )
    return Caption(
        f"{where}, {how}",
        "(a, b, d, e) The last held-out sample of filtered vorticity and subgrid term; each has "
        "its own colour scale. (c, f) Spectra averaged over the held-out samples; dotted lines "
        "mark the forcing.",
    )


def _failure(run: RunFolder, found: Findings) -> Caption:
    target = run.offline.sel(experiment="BNN on target")
    power = float(target["prediction_spectrum"].sum() / target["truth_spectrum"].sum())
    bands = found.bands["BNN on target"]
    finite = {name: value for name, value in bands.items() if np.isfinite(value)}
    home, away = found.error["BNN on base"], found.error["BNN on target"]
    verb = "grows" if away > home else "changes"
    text = f"On the target the error {verb} from {figure_of(home)} to {figure_of(away)}"
    if finite:
        worst, least = max(finite, key=lambda b: finite[b]), min(finite, key=lambda b: finite[b])
        text += (
            f", and the predicted spectrum is furthest off at {worst} scales "
            f"(error {figure_of(finite[worst])}), least at {least} ones "
            f"({figure_of(finite[least])})"
        )
    return Caption(
        f"{text}.",
        f"(a, b) Where the dotted error lies above the truth, predicting zero would be better. The "
        f"prediction carries {figure_of(power)} times the variance of the truth on the target. "
        "(c) Every wavenumber of a band counts alike, however little energy it holds.",
    )


def _advice(run: RunFolder, found: Findings) -> Caption:
    entry = next((e for e in run.advice["layers"] if e["name"] == found.advised), None)
    claim = f"The advice is {found.advised}."
    if entry is not None:
        claim = (
            f"Re-training {found.advised} is forecast to leave an error of "
            f"{figure_of(float(entry['predicted_error']))} "
            f"({figure_of(float(entry['low']))} to {figure_of(float(entry['high']))})."
        )
    share = run.advice_spectra["correctable"]
    share = share.where(np.isfinite(share))
    reading = (
        "(a) Forecast from a few target samples, before any re-training; bars are intervals over "
        "samples. (b) Share of the error spectrum that a change of this layer's weights removed "
        "by the forecast. "
    )
    names = [str(n) for n in share["layer"].values]
    if found.advised in names and len(names) > 1:
        k = np.asarray(share["wavenumber"], dtype=float)
        own = np.nan_to_num(np.asarray(share.sel(layer=found.advised), dtype=float), nan=-1)
        others = np.nan_to_num(np.asarray(share.drop_sel(layer=found.advised)), nan=-1)
        gain = np.where(k >= 1, own - np.median(others, axis=0), -np.inf)
        at = int(np.argmax(gain))
        reading += (
            f"Among the layers, {found.advised} stands out most at k = {plain(k[at])}, "
            f"where it removes {100 * own[at]:.0f} % of the error and the median layer "
            f"{100 * np.median(others, axis=0)[at]:.0f} %."
        ).replace("-", "−")
    return Caption(claim, reading)


def _check(_run: RunFolder, found: Findings) -> Caption:
    ours = found.regrets.get("attainable decrease", np.nan)
    others = {n: r for n, r in found.regrets.items() if n != "attainable decrease"}
    better = [n for n, r in others.items() if r < ours]
    equal = [n for n, r in others.items() if np.isfinite(ours) and r == ours]
    if not np.isfinite(ours):
        claim = "The advice could not be compared with the other criteria."
    elif better:
        claim = f"{', '.join(better)} chose better than the attainable decrease here."
    elif equal:
        claim = (
            f"No criterion chose better than the attainable decrease; {', '.join(equal)} "
            f"chose as well."
        )
    else:
        claim = "No other criterion chose as good a layer as the attainable decrease."
    return Caption(
        claim,
        f"(a) The forecast against the error measured by re-training: {found.forecast_hits} of "
        f"{len(found.sweep)} measured errors lie inside the forecast interval, and the rank "
        f"correlation of forecast and measurement is {figure_of(found.spearman)}. (b) What each "
        "criterion would have cost: regret 0 is the best layer, 1 gains nothing.",
    )


def _repair(run: RunFolder, found: Findings) -> Caption:
    before, after = "BNN on target", "TLNN on target"
    claim = (
        f"Re-training {found.advised} takes the error on the target from "
        f"{figure_of(found.error[before])} to {figure_of(found.error[after])} and the error of "
        f"the spectrum from {figure_of(found.spectrum_error[before])} to "
        f"{figure_of(found.spectrum_error[after])}."
    )
    one = run.offline.sel(experiment=after)
    ratio = log_values(one["error_spectrum"]) / log_values(one["truth_spectrum"])
    k = np.asarray(run.offline["wavenumber"], dtype=float)
    bad = k[(k >= 1) & (ratio > 1)]
    rest = (
        f"After re-training, {len(bad)} of {int((k >= 1).sum())} wavenumbers (k = "
        f"{plain(bad.min())} to {plain(bad.max())}) are still worse than a prediction of zero."
        if len(bad) > 1
        else "After re-training, the error lies below the truth at "
        + ("every wavenumber." if not len(bad) else f"every wavenumber but k = {plain(bad[0])}.")
    )
    return Caption(
        claim,
        f"(a–c) One held-out target sample on one colour scale. (d) Spectrum of the error over "
        f"spectrum of the truth. {rest}",
    )


def _online_fields(_run: RunFolder, found: Findings) -> Caption:
    failed = [c for c in found.closures.values() if not c.stable]
    if not failed:
        claim = "Every simulation reached its end."
    else:
        ends = [f"{closure_name(c.name)} at t = {plain(c.blew_up_at)}" for c in failed]
        claim = f"Blew up: {', '.join(ends)}."
    return Caption(
        claim,
        f"Vorticity at the end (t = {plain(found.online_time)}), all from the same initial state "
        "and on one colour scale. The flow is chaotic: compare the size and strength of the "
        "vortices, not their places.",
    )


def _online_curves(_run: RunFolder, found: Findings) -> Caption:
    words = les_sentences(found)
    return Caption(
        words[0],
        " ".join(words[1:])
        + " (a, b) Averages over the whole run. (c) The tails are the extreme vortices. (d) Energy "
        "over time; the initial state is common to all.",
    )


# Those of the explanation are in `captions_explanation`.
CAPTIONS: Final[dict[str, Callable[[RunFolder, Findings], Caption]]] = {
    "flows": _flows,
    "failure": _failure,
    "advice": _advice,
    "check": _check,
    "repair": _repair,
    "online-fields": _online_fields,
    "online-curves": _online_curves,
}
