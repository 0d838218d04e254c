"""The choice in plain words."""

from __future__ import annotations

from dataclasses import replace

from spectune.advice.result import Advice

__all__ = ["explain_choice"]


def explain_choice(advice: Advice) -> Advice:
    """Return the advice with its reason written out; every number is one of its own."""
    ranked = advice.ranked()
    best, worst = ranked[0], ranked[-1]
    n = advice.samples
    sentences = [
        f"The base network leaves {advice.bnn_error:.2f} of the variance of the target unexplained."
    ]
    if advice.base_error is not None:
        sentences[0] = (
            f"The base network leaves {advice.base_error:.2f} of the variance unexplained on its "
            f"own system and {advice.bnn_error:.2f} on the target."
        )
        if advice.base_error > 1:
            sentences.append(
                "An error above 1 on its own system means that it does worse than predicting the "
                "mean there: check the weights and whether it expects standardised data."
            )
    if best.predicted_error >= 0.99 * advice.bnn_error:
        sentences.append(
            f"From {n} target samples no layer is forecast to lower this error: more samples or "
            "more than one layer are needed."
        )
        return replace(advice, reason=" ".join(sentences))
    sentences.append(
        f"From {n} target samples, half of which fitted and half of which judged, re-training "
        f"{best.name} ({100 * best.share:.1f} % of the weights) is forecast to bring it to "
        f"{best.predicted_error:.2f} (90 % interval {best.low:.2f} to {best.high:.2f}), the lowest "
        f"of {len(ranked)} layers; most of the error it removes lies at "
        f"{best.band} scales."
    )
    if len(ranked) > 1:
        rivals = [layer.name for layer in ranked[1:] if layer.excess_low <= 0]
        sentences.append(
            f"Sample by sample, it cannot be told apart with certainty from {_listed(rivals)}."
            if rivals
            else "Sample by sample, every other layer is behind it."
        )
        sentences.append(
            f"The least is to be gained from {worst.name} (forecast {worst.predicted_error:.2f})."
        )
    others = {
        criterion: order[0]
        for criterion, order in advice.rankings.items()
        if criterion in best.scores and criterion != "attainable decrease"
    }
    agree = [criterion for criterion, choice in others.items() if choice == best.name]
    differ = [
        f"{criterion} ({choice})" for criterion, choice in others.items() if choice != best.name
    ]
    if agree:
        sentences.append(f"{_listed(agree)} put the same layer first.")
    if differ:
        sentences.append(f"Other criteria would have chosen differently: {_listed(differ)}.")
    return replace(advice, reason=" ".join(sentences))


def _listed(names: list[str]) -> str:
    shown = names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
