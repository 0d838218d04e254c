"""``spectune explain``: what re-training changed, in Fourier space."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from spectune.cli.options import Names, Out

__all__ = ["explain"]


def explain(
    *,
    base_model: str,
    tuned_model: Annotated[list[str], Parameter(consume_multiple=True)],
    data: Path,
    base_weights: Path | None = None,
    tuned_weights: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    base_data: Path | None = None,
    layer: str | None = None,
    inputs: Names = None,
    targets: Names = None,
    sample_dim: str | None = None,
    periodic: bool | None = None,
    standardize: bool = False,
    samples: int = 16,
    seed: int = 0,
    out: Out = Path("explanation"),
) -> None:
    """Say what re-training changed in a network, in Fourier space.

    Prints the change of every convolution; writes explanation.nc and figures.

    Parameters
    ----------
    base_model
        package.module:factory that returns a torch.nn.Module, or a folder that Spectune saved.
    tuned_model
        The re-trained network, likewise. Several folders, or one factory with several weights, are
        re-trainings with other seeds: they give the noise level of the changes.
    data
        Target sample: Zarr, NetCDF or HDF5.
    base_weights
        safetensors file for the factory's model before.
    tuned_weights
        The same after re-training, one or several.
    base_data
        Base sample, for the spectra at home and whether the change follows the spectra.
    layer
        Convolution to show kernel by kernel; by default the one that changed most.
    inputs
        Input variables, in the order of the channels; a store of Spectune knows its own.
    targets
        Target variables, likewise.
    sample_dim
        Dimension of the samples; by default time, sample or the first one.
    periodic
        Whether the box is periodic; by default what the data says, else not.
    standardize
        Standardise all channels with the statistics of the base data before the networks.
    samples
        Use this many samples of each data set, evenly spread.
    seed
        Of clusters, permutations and phases.
    out
        Folder for the results.
    """
    from spectune.atomic import write_dataset
    from spectune.errors import ModelError
    from spectune.explain import explain as explain_change
    from spectune.models import open_model
    from spectune.progress import bar
    from spectune.report import explanation_sentences, save_explanation_figures
    from spectune.tables import explanation_table

    console = Console()
    weights: list[Path | None] = list(tuned_weights) if tuned_weights else [None]
    if len(tuned_model) > 1 and len(weights) > 1:
        raise ModelError(
            f"found {len(tuned_model)} re-trained models and {len(weights)} weights, expected "
            "several of one kind: folders, or weights of one factory"
        )
    tuned = [open_model(model, file) for model in tuned_model for file in weights]
    with bar("explain", console) as report:
        found = explain_change(
            open_model(base_model, base_weights),
            tuned,
            data,
            base_data,
            layer=layer,
            inputs=inputs,
            targets=targets,
            sample_dim=sample_dim,
            periodic=periodic,
            standardize=standardize,
            samples=samples,
            seed=seed,
            progress=report,
        )
    out.mkdir(parents=True, exist_ok=True)
    write_dataset(out / "explanation.nc", found)
    paths = save_explanation_figures(out)
    console.print(explanation_table(found))
    for sentence in explanation_sentences(found):
        console.print(sentence, highlight=False, markup=False)
    written = f"explanation.nc and {len(paths)} figures: {out.resolve()}"
    console.print(written, soft_wrap=True, highlight=False, markup=False)
