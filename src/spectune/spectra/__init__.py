"""Wavenumber spectra of fields, activations and kernels, all from one Parseval-exact core."""

from spectune.spectra._core import (
    Spectrum,
    fundamental_wavenumber,
    nyquist_wavenumber,
    shell_spectrum,
    shell_wavenumbers,
)
from spectune.spectra._cosine import cosine_transform
from spectune.spectra.activations import LayerSpectra, activation_spectra
from spectune.spectra.bands import Band, band_average, bands, in_band
from spectune.spectra.classes import KERNEL_CLASSES, KernelClasses, classify
from spectune.spectra.fields import (
    SpectrumError,
    correlation,
    energy_spectrum,
    error_spectrum,
    mean_spectrum,
    relative_mse,
    spectrum_error,
)
from spectune.spectra.kernels import (
    KernelChange,
    complex_response,
    kernel_change,
    kernel_response,
)

__all__ = [
    "KERNEL_CLASSES",
    "Band",
    "KernelChange",
    "KernelClasses",
    "LayerSpectra",
    "Spectrum",
    "SpectrumError",
    "activation_spectra",
    "band_average",
    "bands",
    "classify",
    "complex_response",
    "correlation",
    "cosine_transform",
    "energy_spectrum",
    "error_spectrum",
    "fundamental_wavenumber",
    "in_band",
    "kernel_change",
    "kernel_response",
    "mean_spectrum",
    "nyquist_wavenumber",
    "relative_mse",
    "shell_spectrum",
    "shell_wavenumbers",
    "spectrum_error",
]
