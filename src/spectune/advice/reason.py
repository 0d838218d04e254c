"""The choice in plain words, fit for the methods section of a paper."""

from __future__ import annotations

from dataclasses import replace

from spectune.advice.result import Advice, LayerAdvice
from spectune.advice.sweep import ALL_LAYERS
from spectune.provenance import versions

__all__ = ["explain_choice"]


def explain_choice(advice: Advice) -> Advice:
    """Return the advice with its reason written out; every number is one of its own."""
    ranked = advice.ranked()
    best = ranked[0]
    sentences = [_errors(advice), _method(advice, len(ranked))]
    helps = all(verdict.name != "no layer helps" for verdict in advice.verdicts)
    if helps:
        sentences.append(_choice(advice, best))
        if len(ranked) > 1:
            sentences += [_rivals(advice), _least(ranked), _sets(advice), _outlook(advice)]
    else:
        sentences.append(
            "From these samples no layer is forecast to lower this error: more samples or more "
            "than one layer are needed."
        )
    idle = [layer for layer in advice.layers if layer.obstacle]
    for obstacle in dict.fromkeys(layer.obstacle for layer in idle):
        names = [layer.name for layer in idle if layer.obstacle == obstacle]
        sentences.append(f"Re-training cannot help in {_listed(names)}: {obstacle}.")
    sentences += [
        f"{verdict.name[0].upper()}{verdict.name[1:]}: {verdict.because}."
        for verdict in advice.verdicts
    ]
    if helps and advice.voters and len(ranked) > 1:
        sentences.append(_votes(advice, best))
    return replace(advice, reason=" ".join(filter(None, sentences)))


def _sets(advice: Advice) -> str:
    if not advice.sets:
        return ""
    grown = [
        f"{_listed(list(one.layers))} ({100 * one.weights / advice.weights:.1f} % of the weights) "
        f"to {one.predicted_error:.2f}"
        for one in advice.sets
    ]
    return f"Re-trained together, {', '.join(grown)}."


def _outlook(advice: Advice) -> str:
    if advice.outlook is None:
        return ""
    where = advice.outlook.samples.index(advice.outlook.training)
    return (
        f"All layers, re-trained together on {advice.outlook.training} samples, are forecast to "
        f"leave {advice.outlook.errors[ALL_LAYERS][where]:.2f}; this forecast is less certain than "
        "those of few layers."
    )


def _errors(advice: Advice) -> str:
    if advice.base_error is None:
        return (
            f"The base network leaves {advice.bnn_error:.2f} of the variance of the target "
            "unexplained."
        )
    text = (
        f"The base network leaves {advice.base_error:.2f} of the variance unexplained on its "
        f"own system and {advice.bnn_error:.2f} on the target."
    )
    if advice.base_error > 1:
        text += (
            " An error above 1 on its own system means that it does worse than predicting the "
            "mean there: check the weights and whether it expects standardised data."
        )
    return text


def _method(advice: Advice, layers: int) -> str:
    return (
        f"The error after re-training each of {layers} layers alone was forecast from "
        f"{advice.samples} target samples with Spectune {versions()['spectune']}: {advice.method}."
    )


def _choice(advice: Advice, best: LayerAdvice) -> str:
    return (
        f"Re-training {best.name} alone ({100 * best.share:.1f} % of the weights) is forecast to "
        f"bring the error to {best.predicted_error:.2f} ({100 * advice.interval_level:.0f} % "
        f"interval {best.low:.2f} to {best.high:.2f}), the lowest of all single layers; most of "
        f"the error it removes lies at {best.band} scales."
    )


def _rivals(advice: Advice) -> str:
    if not advice.rivals:
        return "Sample by sample, every other layer is behind it."
    if len(advice.rivals) == len(advice.layers) - 1:
        return "Sample by sample, it cannot be told apart with certainty from any other layer."
    return (
        "Sample by sample, it cannot be told apart with certainty from "
        f"{_listed(list(advice.rivals))}."
    )


def _least(ranked: list[LayerAdvice]) -> str:
    worst = [layer for layer in ranked if not layer.obstacle][-1]
    return f"The least is to be gained from {worst.name} (forecast {worst.predicted_error:.2f})."


def _votes(advice: Advice, best: LayerAdvice) -> str:
    first = [name for name in advice.voters if advice.rankings[name][0] == best.name]
    text = (
        f"Of {len(advice.voters)} other criteria, {best.votes} have this layer in their best "
        "quarter"
    )
    return f"{text}, {_listed(first)} in the first place." if first else f"{text}, none first."


def _listed(names: list[str]) -> str:
    shown = names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
