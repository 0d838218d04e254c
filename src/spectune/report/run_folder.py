"""The files of a finished run, read once and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import xarray as xr

from spectune.errors import CaseError, DataError

__all__ = [
    "RunFolder",
    "advised_layer",
    "read_advice",
    "read_explanation",
    "read_landscape",
    "read_run",
    "read_sweep",
]


@dataclass(frozen=True)
class RunFolder:
    """What a run left behind; the names are those of its files."""

    path: Path
    run: Mapping[str, Any]
    flows: xr.Dataset
    offline: xr.Dataset
    advice: Mapping[str, Any]
    advice_spectra: xr.Dataset
    sweep: Mapping[str, Any]
    explanation: xr.Dataset
    online: xr.Dataset

    @property
    def advised(self) -> str:
        """The layer that the advice chose."""
        return advised_layer(self.advice)


def advised_layer(advice: Mapping[str, Any]) -> str:
    """The chosen layer of an `advice.json`, which holds a name or a list of names."""
    best = advice["best"]
    return str(best) if isinstance(best, str) else " + ".join(map(str, best))


# file: (the stage that writes it, what the report needs of it)
_JSON: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "run.json": ("run", ("title", "case", "command", "seed", "versions", "stages")),
    "advice.json": ("advise", ("best", "seconds", "bnn_error", "reason", "layers", "rankings")),
    "sweep.json": ("verify", ("bnn_error", "layers", "all_layers", "seconds", "comparison")),
}
_NETCDF: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    name: (stage, tuple(needs.split()))
    for name, stage, needs in (
        (
            "flows.nc",
            "simulate",
            "flow wavenumber omega pi omega_spectrum pi_spectrum rms_omega rms_pi",
        ),
        (
            "offline.nc",
            "verify",
            "experiment wavenumber band band_low band_high truth_spectrum prediction_spectrum "
            "error_spectrum correlation relative_mse spectrum_error band_spectrum_error "
            "truth bnn tlnn",
        ),
        ("advice.nc", "advise", "layer wavenumber correctable"),
        (
            "explanation.nc",
            "explain",
            "state layer wavenumber linear nonlinear weight_change ky kx response_before "
            "response_after kernel_in kernel_out class_before class_after kernel_class "
            "class_count mean_response moved moved_share nyquist distance distance_of_inputs "
            "convolution weight_change_relative response_change_relative alignment alignment_p "
            "log_spectrum_ratio log_response_ratio gallery_response gallery_class gallery_out "
            "gallery_in gallery_centre gallery_orientation transfer transfer_error transfer_total "
            "transfer_total_error corrected correctable coherence",
        ),
        (
            "online.nc",
            "online",
            "closure wavenumber time bin energy_spectrum enstrophy_spectrum vorticity_pdf energy "
            "omega stable_until similarity energy_spectrum_error enstrophy_spectrum_error "
            "pdf_distance sampling_energy_spectrum_error sampling_enstrophy_spectrum_error "
            "sampling_pdf_distance",
        ),
    )
}


def read_run(folder: str | Path) -> RunFolder:
    """Read every file that the report needs.

    Args:
        folder: the run folder.

    Raises:
        CaseError: the folder or a file in it is missing; the message names the stage to run.
        DataError: a file is broken or lacks something; the message names what, and the stage.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CaseError(f"run folder {folder}: no such folder; `spectune demo` makes one")
    texts = {name: _read_json(folder / name, *entry) for name, entry in _JSON.items()}
    arrays = {name: _read_netcdf(folder / name, *entry) for name, entry in _NETCDF.items()}
    # Beyond half the grid there are only the corners of the wavenumber square.
    half = arrays["flows.nc"].sizes["x"] / 2
    arrays = {
        name: data.sel(wavenumber=data["wavenumber"] <= half) for name, data in arrays.items()
    }
    return RunFolder(
        path=folder,
        run=texts["run.json"],
        flows=arrays["flows.nc"],
        offline=arrays["offline.nc"],
        advice=texts["advice.json"],
        advice_spectra=arrays["advice.nc"],
        sweep=texts["sweep.json"],
        explanation=arrays["explanation.nc"],
        online=arrays["online.nc"],
    )


def read_advice(folder: str | Path) -> tuple[dict[str, Any], xr.Dataset]:
    """Read an advice that stands alone, without a run around it.

    Raises:
        CaseError: a file is missing.
        DataError: a file is broken.
    """
    folder = Path(folder)
    return (
        _read_json(folder / "advice.json", *_JSON["advice.json"]),
        _read_netcdf(folder / "advice.nc", *_NETCDF["advice.nc"]),
    )


def read_landscape(folder: str | Path) -> xr.Dataset | None:
    """Read the landscape of an advice, which only a thorough one has.

    Raises:
        DataError: the file is broken.
    """
    path = Path(folder) / "landscape.nc"
    if not path.exists():
        return None
    return _read_netcdf(path, "advise", ("layer", "negative_share"))


def read_sweep(folder: str | Path) -> dict[str, Any]:
    """Read the truth beside an advice.

    Raises:
        CaseError: the file is missing.
        DataError: the file is broken.
    """
    return _read_json(Path(folder) / "sweep.json", *_JSON["sweep.json"])


def read_explanation(folder: str | Path) -> xr.Dataset:
    """Read an explanation that stands alone.

    Raises:
        CaseError: the file is missing.
        DataError: the file is broken.
    """
    needs = ("state", "layer", "wavenumber", "convolution", "weight_change_relative")
    return _read_netcdf(Path(folder) / "explanation.nc", "explain", needs)


def _missing(path: Path, stage: str) -> CaseError:
    return CaseError(f"{path}: missing; the stage `{stage}` writes it, run that stage first")


def _broken(path: Path, stage: str, problem: str) -> DataError:
    return DataError(f"{path}: {problem}; run the stage `{stage}` again to write it anew")


def _read_json(path: Path, stage: str, keys: tuple[str, ...]) -> dict[str, Any]:
    if not path.is_file():
        raise _missing(path, stage)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _broken(path, stage, f"not readable as JSON ({error})") from error
    if not isinstance(content, dict):
        raise _broken(path, stage, f"expected an object, found {type(content).__name__}")
    if lacking := [key for key in keys if key not in content]:
        raise _broken(path, stage, f"lacks {', '.join(lacking)}")
    return content


def _read_netcdf(path: Path, stage: str, names: tuple[str, ...]) -> xr.Dataset:
    if not path.is_file():
        raise _missing(path, stage)
    try:
        dataset = xr.load_dataset(path, engine="h5netcdf")
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise _broken(path, stage, f"not readable as NetCDF ({error})") from error
    if lacking := [name for name in names if name not in dataset.variables]:
        raise _broken(path, stage, f"lacks {', '.join(lacking)}")
    return dataset
