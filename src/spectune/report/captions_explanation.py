"""What the figures of the explanation show in this run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from spectune.report.captions import Caption
from spectune.report.explanation_sentences import (
    alignment_sentence,
    corrected_sentence,
    moved_sentence,
    parting_sentence,
    transfer_sentence,
)
from spectune.report.findings import Findings
from spectune.report.run_folder import RunFolder
from spectune.report.sentences import figure_of
from spectune.report.style import log_values, plain

__all__ = ["EXPLANATION_CAPTIONS"]


def _activations(run: RunFolder, found: Findings) -> Caption:
    data = run.explanation
    layer = str(data.attrs.get("layer", found.advised))
    k = np.asarray(data["wavenumber"], dtype=float)
    chosen = data["linear"].sel(layer=layer) if layer in data["layer"].values else None
    reading = (
        "(a) How the energy of every layer's activations changes at each wavenumber when the input "
        "comes from the target. (b) What re-training did to that. (c, d) The spectra of the "
        "activations h themselves, before the nonlinearity, in the network's normalised units; "
        "in (d) they are the prediction."
    )
    if chosen is None:
        return Caption("The re-trained layer is not among the layers recorded.", reading)
    base, bnn, tlnn = (
        log_values(chosen.sel(state=state))
        for state in ("BNN, base input", "BNN, target input", "TLNN, target input")
    )
    shift, change = np.log10(bnn / base), np.log10(tlnn / bnn)
    good = (k >= 1) & np.isfinite(shift) & np.isfinite(change)
    if good.sum() < 3 or np.ptp(change[good]) == 0 or np.ptp(shift[good]) == 0:
        return Caption(f"The spectra of {layer} before and after cannot be compared.", reading)
    link = float(np.corrcoef(shift[good], change[good])[0, 1])
    at = int(np.flatnonzero(good)[np.argmax(np.abs(change[good]))])
    factor = 10 ** abs(change[at])
    verb = "weakens" if change[at] < 0 else "strengthens"
    if link < -0.5:
        how = "Re-training works against the shift"
    elif link > 0.5:
        how = "Re-training goes along with the shift"
    else:
        how = "Re-training does not follow the shift"
    return Caption(
        f"{how} (correlation over wavenumbers {figure_of(link)}): in {layer} it {verb} k = "
        f"{plain(k[at])} most, by a factor of {plain(float(f'{factor:.2g}'))}.",
        reading,
    )


def _kernels(run: RunFolder, found: Findings) -> Caption:
    data = run.explanation
    layer = str(data.attrs.get("layer", found.advised))
    before = [str(c) for c in data["class_before"].values]
    after = [str(c) for c in data["class_after"].values]
    moved = sum(a != b for a, b in zip(before, after, strict=True))
    claim = f"Of the {len(before)} kernels of {layer} that changed most, {moved} change their class"
    if layer in data["layer"].values:
        size = float(data["weight_change"].sel(layer=layer))
        if np.isfinite(size):
            claim += f"; the weights of the layer moved by {100 * size:.0f} % of their norm"
    return Caption(
        f"{claim}.",
        "Modulus of the response |Ŵ| in the plane of wavenumbers, k = 0 in the centre, one colour "
        "scale for each pair (dark is strong); above each pair: input → output channel.",
    )


def _filters(run: RunFolder, _found: Findings) -> Caption:
    data = run.explanation
    kinds = [str(kind) for kind in data["kernel_class"].values]
    before, after = (
        np.nan_to_num(np.asarray(data["class_count"].sel(stage=s), dtype=float))
        for s in ("before", "after")
    )
    gain = after - before
    up, down = int(np.argmax(gain)), int(np.argmin(gain))
    if gain[up] == 0 == gain[down]:
        claim = "The kernels keep their classes."
    else:
        claim = (
            f"{kinds[up].capitalize()} kernels go from {before[up]:.0f} to {after[up]:.0f}, "
            f"{kinds[down]} kernels from {before[down]:.0f} to {after[down]:.0f}."
        )
    response = data["mean_response"]
    old, new = (np.asarray(response.sel(stage=s), dtype=float) for s in ("before", "after"))
    ratio = log_values(new) / log_values(old)
    reading = "(a) All kernels of the layer by the shape of their response. (b) Mean over kernels."
    if np.isfinite(ratio).any():
        at = int(np.nanargmax(np.abs(np.log(ratio))))
        k = float(data["wavenumber"].values[at])
        how = "rises" if ratio[at] > 1 else "falls"
        reading += (
            f" The mean response changes most at k = {plain(k)}, where it {how} by "
            f"{100 * abs(ratio[at] - 1):.0f} %."
        )
    return Caption(claim, reading)


def _layers(run: RunFolder, _found: Findings) -> Caption:
    data = run.explanation
    return Caption(
        parting_sentence(data),
        "(a) Log-spectral distance of each layer's activations h on the target from those of the "
        "base network on its own flow: 3 dB is a factor of two at every wavenumber. (b) The "
        "nonlinearity gives g = a h + the rest, with a the regression of g on h; the rest has come "
        f"from other wavenumbers. {moved_sentence(data)} (c) The spectra of h, g and the rest.",
    )


def _changes(run: RunFolder, _found: Findings) -> Caption:
    data = run.explanation
    return Caption(
        alignment_sentence(data),
        "(a) Every layer in its own re-training: change of its weights, and of the gain |Ŵ| of its "
        "kernels, relative to the weights. (b) What the target has more of at the layer's input, "
        "and what the layer passes more of after re-training; alignment is the correlation of the "
        "two curves, p the chance that a random change of this size does as well.",
    )


def _gallery(run: RunFolder, _found: Findings) -> Caption:
    data = run.explanation
    layer = str(data.attrs.get("layer", ""))
    counts = data["class_count"].sel(stage="before").to_series()
    parts = [f"{int(count)} {kind}" for kind, count in counts.items() if count > 0]
    return Caption(
        f"The base network's {layer} has {', '.join(parts)} kernels.",
        "The strongest kernels of each class before re-training: |Ŵ| over wave vectors, each on "
        "its own scale; above, input → output channel and the mean wavenumber that passes. The "
        "arrow of a Gabor lies along the waves that it passes.",
    )


def _transfer(run: RunFolder, _found: Findings) -> Caption:
    return Caption(
        transfer_sentence(run.explanation),
        "The network linearised at its inputs. (a) Variance that arrives at an output wavenumber "
        "for a disturbance at an input wavenumber; a linear network has the dashed diagonal alone. "
        "(b) Its change; what is within three standard errors is left white. (c) Summed over the "
        "output, with standard errors.",
    )


def _corrected(run: RunFolder, _found: Findings) -> Caption:
    layer = str(run.explanation.attrs.get("layer", ""))
    return Caption(
        corrected_sentence(run.explanation),
        "(a) Share of the error spectrum on the target that re-training removed, beside the "
        f"correctable spectrum: what Gauss–Newton forecasts for {layer} alone from half of these "
        "samples, judged on the other half. (b) Coherence of prediction and truth, 1 for a "
        "prediction that is right up to a factor.",
    )


EXPLANATION_CAPTIONS: Final[dict[str, Callable[[RunFolder, Findings], Caption]]] = {
    "activations": _activations,
    "layers": _layers,
    "changes": _changes,
    "gallery": _gallery,
    "kernels": _kernels,
    "filters": _filters,
    "transfer": _transfer,
    "corrected": _corrected,
}
