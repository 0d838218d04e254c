"""Re-training a user's network on a user's data, kept as a network that every command opens."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import xarray as xr
from torch import nn

from spectune.atomic import write_text
from spectune.data import Normalization, Pairs, fingerprint
from spectune.errors import DataError
from spectune.models import Network, open_with_data, save_network
from spectune.models.checkpoint import contiguous_weights
from spectune.provenance import versions
from spectune.training.fit import FitSettings
from spectune.training.gauss_newton import GaussNewtonSettings
from spectune.training.history import History
from spectune.training.kinds import Kind
from spectune.training.layers import match_layers, trainable_layers
from spectune.training.scores import Scores, score
from spectune.training.transfer import Recommendation, patterns, transfer

__all__ = ["Tuned", "transfer_network"]


@dataclass(frozen=True)
class Tuned:
    """A re-trained network and what it does better.

    Attributes:
        network: with its normalisation, in evaluation mode.
        layers: names of what was re-trained.
        history: errors by epoch.
        before, after: scores of the base network and of this one, where samples were held out.
    """

    network: Network
    layers: tuple[str, ...]
    history: History
    before: Scores | None
    after: Scores | None


def transfer_network(
    model: nn.Module,
    target: Pairs | xr.Dataset | str | Path,
    layers: str | Sequence[str] | Recommendation,
    settings: FitSettings | GaussNewtonSettings,
    folder: str | Path,
    *,
    factory: str,
    arguments: dict[str, Any] | None = None,
    held_out: Pairs | xr.Dataset | str | Path | None = None,
    base: Pairs | xr.Dataset | str | Path | None = None,
    inputs: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    sample_dim: str | None = None,
    periodic: bool | None = None,
    standardize: bool = False,
    kind: Kind = "full",
    rank: int = 4,
    progress: Callable[[int], Any] | None = None,
) -> Tuned:
    """Re-train layers of a network on data as it lies on disk, and keep the result in a folder.

    The folder then holds a network that every command opens (``network.json`` and
    ``weights.safetensors``), its normalisation inside, and ``history.csv``. Killed while
    Adam trains, the same call goes on after the last whole epoch.

    Args:
        model: the base network, as for `spectune.advise`; it is not changed.
        target: target samples to train on, all of them.
        layers: names or patterns, or an advice.
        settings: as for `transfer`.
        folder: see above.
        factory: ``package.module:factory`` that rebuilds the bare module.
        arguments: of the factory.
        held_out: target samples, none of them in `target`, on which both networks are scored; none
            by default.
        base: base data, where `standardize` needs its statistics.
        inputs: as for `spectune.advise`, and so are the following.
        targets: see there.
        sample_dim: see there.
        periodic: see there.
        standardize: see there.
        kind: as for `transfer`.
        rank: as for `transfer`.
        progress: called with the number of epochs done; not by a Gauss–Newton fit.

    Raises:
        DataError: data that cannot be used, or the folder holds another re-training.
        LayerError: a pattern matches no layer, or a layer has nothing of this kind.
        StabilityError: the loss is no longer finite.
    """
    folder = Path(folder)

    opened = open_with_data(
        model,
        target,
        held_out=held_out,
        base=base,
        standardize=standardize,
        inputs=inputs,
        targets=targets,
        sample_dim=sample_dim,
        periodic=periodic,
    )
    module, normalization = opened.module, opened.normalization
    pairs, judging = opened.target, opened.held_out
    chosen = match_layers(trainable_layers(module), patterns(layers))
    names = tuple(layer.name for layer in chosen)
    description = {
        "retrained": list(names),
        "kind": kind,
        "rank": rank,
        "settings": asdict(settings),
        "samples": len(pairs),
    }
    _claim(folder, description, module, pairs, normalization)
    scored = None
    if judging is not None:
        scored = normalization.inputs(judging.inputs), normalization.targets(judging.targets)
    kept: dict[str, Any] = {}
    if isinstance(settings, FitSettings):
        kept = {
            "state_path": folder / ".state.safetensors",
            "log_path": folder / "history.csv",
            "progress": progress,
        }
    tuned, history = transfer(
        module,
        normalization.inputs(pairs.inputs),
        normalization.targets(pairs.targets),
        list(names),
        settings,
        kind=kind,
        rank=rank,
        held_out=scored,
        **kept,
    )
    history.write_csv(folder / "history.csv")
    network = Network(tuned, normalization).eval()
    save_network(
        folder,
        network,
        factory=factory,
        arguments=arguments or {},
        grid=pairs.grid,
        provenance=description | versions(),
    )
    (folder / ".state.safetensors").unlink(missing_ok=True)
    before = after = None
    if judging is not None:
        before = score(module, normalization, judging)
        after = score(tuned, normalization, judging)
    return Tuned(network, names, history, before, after)


def _claim(
    folder: Path,
    description: dict[str, Any],
    module: nn.Module,
    pairs: Pairs,
    normalization: Normalization,
) -> None:
    """Write down what the state in a folder is of, or refuse another one."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = [
        *contiguous_weights(module).items(),
        ("inputs", pairs.inputs),
        ("targets", pairs.targets),
    ]
    digest = fingerprint(arrays, json.dumps(normalization.to_dict()))
    wanted = json.dumps(description | {"fingerprint": digest}, sort_keys=True)
    path = folder / ".transfer.json"
    if path.exists() and path.read_text(encoding="utf-8") != wanted:
        raise DataError(
            f"{folder}: holds the re-training of another network, or with other layers, data or "
            "settings; choose another folder, or remove this one"
        )
    write_text(path, wanted)
