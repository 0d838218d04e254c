"""The ground floor: domain, wavenumbers and the one wrapper around the Fourier transforms."""

from spectune.grid._grid import Grid, resize

__all__ = ["Grid", "resize"]
