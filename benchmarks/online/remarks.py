"""What was seen in the online results, in words, with the numbers of the record.

Written after three seeds of all cases; to be read again when the results are made anew.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

WIDTH = 100


def remarks(record: Mapping[str, Any]) -> list[str]:
    """Return the lines of the section."""
    cases = {case["paper_case"]: case for case in record["cases"]}
    texts = [*_spectra(cases), *_budget(cases[3]), *_others(cases)]
    indent = {"initial_indent": "- ", "subsequent_indent": "  "}
    wrapped = [
        textwrap.fill(text, WIDTH, break_on_hyphens=False, break_long_words=False, **indent)
        for text in texts
    ]
    return ["## What was seen", "", *wrapped]


def _spectra(cases: Mapping[int, Any]) -> list[str]:
    def row(closure: str) -> str:
        means = (cases[i]["closures"][closure]["energy_spectrum_error"]["mean"] for i in (1, 2, 3))
        return ", ".join("—" if value is None else f"{value:.2f}" for value in means)

    ends = {
        f"{name} of {case['name']}": [t for t in one["horizon"] if t < max(one["horizon"])]
        or one["horizon"]
        for case in cases.values()
        for name, one in case["closures"].items()
        if one["survived"] < 1
    }
    blown = "; ".join(
        f"{len(times)} of the {name}, at {', '.join(f'{t:.3g}' for t in times)}"
        for name, times in ends.items()
    )
    sampling = ", ".join(f"{cases[i]['sampling']['energy_spectrum_error']:.2f}" for i in (1, 2, 3))
    held = ", ".join(
        f"{case['layers']['rank_correlation']['energy_spectrum_error']:.2f} ({case['name']})"
        for case in cases.values()
        if case["layers"]
    )
    return [
        f"**Members that blew up** in the tables below: {blown or 'none'}. "
        "Without closure the small scales fill until viscosity catches up: errors of "
        f"{row('no closure')}, but stable. At a step of 0.01 (CFL 2.6 at the fastest moment of "
        "the truth, limit 2.83) two of three such runs in `forced` are refused, because their "
        "flow is a few per cent faster than the truth. That is the step, not an instability, and "
        "it must not count as a blow-up; hence the step of 0.007.",
        "**The advised layer repairs the spectrum, the worst does not.** Error of the energy "
        f"spectrum in cases 1, 2, 3: base network {row('base network')}; worst layer "
        f"{row('worst layer')}; advised layer {row('advised layer')}; all layers "
        f"{row('all layers')}; Smagorinsky {row('Smagorinsky')}; sampling error of the truth "
        f"{sampling}.",
        "**Does the offline order hold online?** Rank correlation of the error of Π with that of "
        f"the energy spectrum over the single layers of one seed: {held or 'not run yet'}.",
        "**Fifty samples from scratch are enough, three hundred steps are not.** Trained on the "
        f"target alone for the steps of a re-training: {row('target alone, short')}; for the 1000 "
        f"steps of a base network: {row('target alone')}, as good as plenty of data. At this size "
        "transfer saves steps more than samples: 50 fields of 64² hold 200,000 values of Π.",
        "Errors of the energy and of the enstrophy spectrum are nearly the same number, because "
        "each shell's error is relative.",
    ]


def _budget(case: Mapping[str, Any]) -> list[str]:
    def share(name: str, of: Mapping[str, Any]) -> str:
        value = of[name]["mean"] if isinstance(of[name], Mapping) else of[name]
        return f"{100 * value / case['truth'][name.split('_')[0] + '_input']:.0f} %"

    def both(closure: str) -> str:
        one = case["closures"][closure]
        return f"{share('enstrophy_closure', one)} and {share('energy_closure', one)}"

    truth = case["truth"]
    right = f"{share('enstrophy_closure', truth)} and {share('energy_closure', truth)}"
    smagorinsky = case["closures"]["Smagorinsky"]
    return [
        "**Why the last layer cannot** (case 3). What the closure adds to enstrophy and energy, of "
        f"the truth's input of each: {right} with the exact Π; {both('base network')} with the "
        f"base network; {both('worst layer')} with the worst layer; {both('advised layer')} with "
        "the advised. The base network, from a flow forced near the cutoff, transfers far too much "
        "both ways and takes too little enstrophy out. The last layer only combines features "
        "linearly: re-trained alone it lowers the error of Π offline, and online changes nothing.",
        "**Smagorinsky drains energy at all scales** "
        f"({share('energy_closure', smagorinsky)} of the input) and cuts the tails: "
        f"{100 * smagorinsky['tail_probability']['mean']:.2f} % of the points lie beyond three "
        f"standard deviations, {100 * truth['tail_probability']:.2f} % in the truth.",
    ]


def _others(cases: Mapping[int, Any]) -> list[str]:
    def pdf(case: Mapping[str, Any]) -> str:
        none = case["closures"]["no closure"]["pdf_distance"]["mean"]
        return f"{none:.3f} (sampling {case['sampling']['pdf_distance']:.3f})"

    return [
        f"**The PDF distance says little.** That of no closure is {pdf(cases[3])} in `forced` and "
        f"{pdf(cases[2])} in `turbulent`. Where it is within the sampling error, half of "
        "similarity and score is noise: read the spectra.",
        "**The gradient model does not blow up here**, alone or 1.5-fold: products are free of "
        "aliasing, and the filter is the Gaussian that it is derived for. Two- to fourfold it "
        "does, within two time units: an instability of the explicit step, as the twofold one is "
        "stable when it is called at every step. No backscatter fraction shows it.",
        "**Two kinds of blow-up.** As hardly anything of the paper's cases blows up, closures were "
        "made to: gradient models, negative viscosity, and networks less a part of Smagorinsky. "
        "Where physics closures dissipate too little, the enstrophy near the cutoff does not stop "
        "growing after the first time units, and the run ends soon; the first 5 % show it. "
        "Networks can also go late, from initial states of which others last: a vortex grows "
        "beyond all that the network was trained with (|ω̄| of 50 to 100, 28 in the truth), its "
        "backscatter rises from 0.3 to 0.7 and more, and two time units later all is over. The "
        "first 5 % do not show that; backscatter on filtered states before the run does, with "
        "false alarms. Backscatter alone is no sure sign: a little negative viscosity is all "
        "backscatter, and lasts.",
    ]
