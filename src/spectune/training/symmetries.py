"""Augmentation by the symmetries of two-dimensional flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spectune.data.normalization import Normalization
from spectune.errors import DataError

__all__ = ["Symmetries"]


@dataclass(frozen=True)
class Symmetries:
    """Shifts, quarter turns and reflections of a square periodic box.

        (g s)(x) = det(g) s(g⁻¹ x)   for a pseudo-scalar,      (g s)(x) = s(g⁻¹ x)   for a scalar

    A flow seen from a shifted, turned or mirrored frame is a flow. ψ, ω and Π are pseudo-scalars:
    turns leave their values, a mirror changes their sign (it makes a left-turning eddy a
    right-turning one). So Π of the mirrored (ψ̄, ω̄) is minus the mirrored Π. This holds for the map
    (ψ̄, ω̄) → Π whatever forces the flow; the *statistics* of a flow share a symmetry only if its
    forcing, domain and rotation do (a β-plane keeps shifts along x and the mirror of y only).

    Components of vectors, which turns mix, are not covered.

    Attributes:
        input_parity: +1 (scalar) or −1 (pseudo-scalar) of each input channel.
        target_parity: of each target channel.
        normalization: of the channels, if they are standardised: the sign changes in physical
            units. None where zero is zero.
        shifts: whether the box is periodic, so that fields may be shifted.
    """

    input_parity: Sequence[int]
    target_parity: Sequence[int]
    normalization: Normalization | None = None
    shifts: bool = True

    def __post_init__(self) -> None:
        for name in ("input_parity", "target_parity"):
            values = getattr(self, name)
            if any(value not in (1, -1) for value in values):
                raise DataError(
                    f"{name}: found {list(values)}, expected +1 (scalar) or −1 (pseudo-scalar, "
                    "such as ψ, ω and Π) for each channel"
                )

    def draw(
        self, inputs: Tensor, targets: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return each sample under a symmetry of its own.

        Args:
            inputs: (n, c_in, ny, nx).
            targets: (n, c_out, ny, nx).
            generator: what is random comes from it.

        Raises:
            DataError: the grid has not two dimensions, or the parities are not one a channel.
        """
        if inputs.dim() != 4:
            raise DataError(
                f"symmetries: found inputs of shape {tuple(inputs.shape)}, expected "
                "(n, c, ny, nx): they are those of two dimensions"
            )
        ny, nx = inputs.shape[-2:]
        draws = torch.stack(
            [
                torch.randint(high, (len(inputs),), generator=generator)
                for high in (ny, nx, 4 if ny == nx else 2, 2)
            ],
            dim=1,
        ).tolist()
        moved = []
        for x, y, (down, right, turns, mirror) in zip(inputs, targets, draws, strict=True):
            turns = turns if ny == nx else 2 * turns
            shift = (down, right) if self.shifts else (0, 0)
            moved.append(self.apply(x, y, shift=shift, turns=turns, mirror=bool(mirror)))
        return torch.stack([x for x, _ in moved]), torch.stack([y for _, y in moved])

    def apply(
        self,
        inputs: Tensor,
        targets: Tensor,
        *,
        shift: tuple[int, int] = (0, 0),
        turns: int = 0,
        mirror: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Return a sample, or several, under one symmetry.

        Args:
            inputs: (..., c_in, ny, nx).
            targets: (..., c_out, ny, nx).
            shift: points along y and x.
            turns: quarter turns.
            mirror: whether x → −x, before the turn.
        """
        statistics = self.normalization
        centres = (
            (None, None)
            if statistics is None
            else (
                statistics.input_mean / statistics.input_std,
                statistics.target_mean / statistics.target_std,
            )
        )
        fields = []
        for values, parity, centre in zip(
            (inputs, targets), (self.input_parity, self.target_parity), centres, strict=True
        ):
            if values.shape[-3] != len(parity):
                raise DataError(
                    f"symmetries: found {values.shape[-3]} channels, expected {len(parity)}, one "
                    "for each parity"
                )
            if mirror:
                values = _signed(values.flip(-1), parity, centre)
            values = torch.rot90(values, turns, (-2, -1))
            fields.append(torch.roll(values, shift, (-2, -1)) if any(shift) else values)
        return fields[0], fields[1]


def _signed(values: Tensor, parity: Sequence[int], centre: Tensor | None) -> Tensor:
    """Return s·(z + μ/σ) − μ/σ: the sign s acts on the physical value σz + μ."""
    sign = torch.tensor(parity, dtype=values.dtype, device=values.device)[:, None, None]
    if centre is None:
        return sign * values
    return sign * values + (sign - 1) * centre.to(values)[:, None, None]
