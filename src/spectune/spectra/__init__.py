"""Wavenumber spectra of fields, activations and kernels, all from one Parseval-exact core."""

from spectune.spectra._bins import fundamental_wavenumber, nyquist_wavenumber
from spectune.spectra._core import Spectrum, shell_spectrum, shell_wavenumbers
from spectune.spectra._cosine import cosine_transform
from spectune.spectra.activations import LayerSpectra, activation_spectra
from spectune.spectra.aliasing import Aliasing, aliasing
from spectune.spectra.alignment import Alignment, spectral_alignment
from spectune.spectra.bands import Band, band_average, bands, degree_octaves, in_band, octaves
from spectune.spectra.changes import KernelChange, kernel_change, kernel_change_over_seeds
from spectune.spectra.classes import KERNEL_CLASSES, KernelClasses, classify
from spectune.spectra.clusters import KernelClusters, cluster_kernels
from spectune.spectra.confidence import ConfidenceBand, confidence_band
from spectune.spectra.convolutions import Convolution, convolutions
from spectune.spectra.cross import CrossSpectrum, cross_spectrum
from spectune.spectra.dataset import SpectralResult, to_dataset
from spectune.spectra.difference import SpectralDifference, spectral_difference
from spectune.spectra.directional import ModalSpectrum, directional_spectrum, modal_spectrum
from spectune.spectra.distance import log_spectral_distance
from spectune.spectra.field_spectra import field
from spectune.spectra.fields import (
    SpectrumError,
    correlation,
    energy_spectrum,
    error_spectrum,
    mean_spectrum,
    relative_mse,
    spectrum_error,
)
from spectune.spectra.filter_bank import FilterBank, filter_bank
from spectune.spectra.kernels import complex_response, kernel_response
from spectune.spectra.masked import masked_spectrum
from spectune.spectra.sphere import (
    SphericalSpectrum,
    WindSpectrum,
    spherical_cross,
    spherical_spectrum,
    wind_spectrum,
)
from spectune.spectra.sphere_grid import SphereGrid
from spectune.spectra.windowed import windowed_spectrum

__all__ = [
    "KERNEL_CLASSES",
    "Aliasing",
    "Alignment",
    "Band",
    "ConfidenceBand",
    "Convolution",
    "CrossSpectrum",
    "FilterBank",
    "KernelChange",
    "KernelClasses",
    "KernelClusters",
    "LayerSpectra",
    "ModalSpectrum",
    "SpectralDifference",
    "SpectralResult",
    "Spectrum",
    "SpectrumError",
    "SphereGrid",
    "SphericalSpectrum",
    "WindSpectrum",
    "activation_spectra",
    "aliasing",
    "band_average",
    "bands",
    "classify",
    "cluster_kernels",
    "complex_response",
    "confidence_band",
    "convolutions",
    "correlation",
    "cosine_transform",
    "cross_spectrum",
    "degree_octaves",
    "directional_spectrum",
    "energy_spectrum",
    "error_spectrum",
    "field",
    "filter_bank",
    "fundamental_wavenumber",
    "in_band",
    "kernel_change",
    "kernel_change_over_seeds",
    "kernel_response",
    "log_spectral_distance",
    "masked_spectrum",
    "mean_spectrum",
    "modal_spectrum",
    "nyquist_wavenumber",
    "octaves",
    "relative_mse",
    "shell_spectrum",
    "shell_wavenumbers",
    "spectral_alignment",
    "spectral_difference",
    "spectrum_error",
    "spherical_cross",
    "spherical_spectrum",
    "to_dataset",
    "wind_spectrum",
    "windowed_spectrum",
]
