"""What tells a resumed computation that its network and data are still the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor

__all__ = ["fingerprint"]


def fingerprint(arrays: Iterable[tuple[str, Tensor]], settings: str = "") -> str:
    """Return the SHA-256 of names, shapes, types and bytes of arrays, and of a text.

    Args:
        arrays: name and values.
        settings: whatever else has to be the same.
    """
    digest = hashlib.sha256()
    for name, values in arrays:
        digest.update(f"{name} {tuple(values.shape)} {values.dtype}".encode())
        raw = values.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(raw.numpy().tobytes())
    digest.update(settings.encode())
    return digest.hexdigest()
