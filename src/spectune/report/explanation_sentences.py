"""What an explanation found, in words; every clause is chosen by the numbers."""

from __future__ import annotations

import numpy as np
import xarray as xr

from spectune.report.style import plain

__all__ = [
    "alignment_sentence",
    "corrected_sentence",
    "explanation_sentences",
    "moved_sentence",
    "parting_sentence",
    "transfer_sentence",
]

_AWAY = "BNN, target input"


def explanation_sentences(explanation: xr.Dataset) -> list[str]:
    """Return the named findings of an explanation, those that its data allow."""
    found = [moved_sentence(explanation), corrected_sentence(explanation)]
    if "distance" in explanation:
        found.insert(0, parting_sentence(explanation))
    if "alignment" in explanation:
        found.append(alignment_sentence(explanation))
    return found


def parting_sentence(explanation: xr.Dataset) -> str:
    """Where base and target part, and where re-training brings them together."""
    attrs = explanation.attrs
    apart = float(explanation["distance_of_inputs"])
    rise, parts = float(attrs["parting_rise"]), str(attrs["parting_layer"])
    text = f"The inputs of base and target are {_db(apart)} apart"
    if parts == "none":
        text += ", and no layer drives them further apart"
    else:
        text += (
            f"; the layer that drives them apart most is {parts} ({_db(rise)} more, "
            f"{_share(attrs['parting_share'])} of resampled samples agree)"
        )
    joins = str(attrs["joining_layer"])
    if joins == "none":
        return f"{text}. Re-training brings their activations nowhere nearer."
    return (
        f"{text}. Re-training brings them together most at {joins} "
        f"({_db(float(attrs['joining_rise']))}, {_share(attrs['joining_share'])} agree)."
    )


def moved_sentence(explanation: xr.Dataset) -> str:
    """Which nonlinearity moves most energy between wavenumbers."""
    share = explanation["moved_share"].sel(state=_AWAY)
    values = np.asarray(share, dtype=float)
    if not np.isfinite(values).any():
        return "No activation function follows a layer directly."
    names = [str(name) for name in share["layer"].values]
    most, least = int(np.nanargmax(values)), int(np.nanargmin(values))
    text = f"The nonlinearity after {names[most]} moves {_share(values[most])} of the energy"
    if most != least:
        text += f", the one after {names[least]} {_share(values[least])}"
    return f"{text} to other wavenumbers."


def corrected_sentence(explanation: xr.Dataset) -> str:
    """At which wavenumbers re-training removed most and least of the error."""
    k = np.asarray(explanation["wavenumber"], dtype=float)
    values = np.asarray(explanation["corrected"], dtype=float)
    counts = (k > 0) & np.isfinite(values)
    if not counts.any():
        return "There was no error to remove."
    k, values = k[counts], values[counts]
    best, worst = int(np.argmax(values)), int(np.argmin(values))
    text = f"Re-training removes {_share(values[best])} of the error at k = {plain(k[best])}"
    if values[worst] < 0:
        return f"{text} and adds {_share(-values[worst])} at k = {plain(k[worst])}."
    return f"{text} and {_share(values[worst])} at k = {plain(k[worst])}."


def alignment_sentence(explanation: xr.Dataset) -> str:
    """Whether the chosen layer changes the way the spectra differ, and whether that is chance."""
    layer = str(explanation.attrs["layer"])
    names = [str(name) for name in explanation["convolution"].values]
    if layer not in names:
        return f"{layer} is no convolution, so it has no response to compare."
    at = names.index(layer)
    value, p = (float(explanation[key][at]) for key in ("alignment", "alignment_p"))
    if not np.isfinite(value):
        return f"{layer} did not change, or the spectra of its input did not."
    way = "follows" if value > 0 else "works against"
    chance = (
        "random changes of this size seldom do as well"
        if p < 0.05
        else "random changes of this size do as well"
    )
    sign = f"{value:.2f}".replace("-", "−")
    return (
        f"The response of {layer} {way} the difference of the spectra (alignment {sign}, p = "
        f"{p:.2f}: {chance})."
    )


def transfer_sentence(explanation: xr.Dataset) -> str:
    """At which input wavenumber re-training changed the gain of the linearised network most."""
    total = explanation["transfer_total"]
    before, after = (
        np.asarray(total.sel(transfer_state=state), dtype=float)
        for state in (_AWAY, "TLNN, target input")
    )
    k = np.asarray(explanation["wavenumber_in"], dtype=float)
    known = (before > 0) & (after > 0)
    if not known.any():
        return "The network does not respond to small changes of its input."
    ratio = after[known] / before[known]
    at = int(np.argmax(np.abs(np.log(ratio))))
    how = "amplifies" if ratio[at] > 1 else "damps"
    factor = plain(float(f"{max(ratio[at], 1 / ratio[at]):.2g}"))
    return (
        f"After re-training the network {how} disturbances at k = {plain(k[known][at])} by a "
        f"factor of {factor} against before."
    )


def _share(value: float) -> str:
    return f"{100 * float(value):.0f} %"


def _db(value: float) -> str:
    return f"{float(f'{value:.2g}'):g} dB"
