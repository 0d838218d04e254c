"""Spectra of what the layers of a network produce."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spectune.errors import DataError, LayerError
from spectune.grid import Grid
from spectune.spectra._bins import fundamental_wavenumber
from spectune.spectra._core import shell_wavenumbers
from spectune.spectra._elementwise import ACTIVATION_MODULES, WEIGHT_LAYERS, WatchActivations
from spectune.spectra._layer_sums import LayerSums

__all__ = ["LayerSpectra", "activation_spectra", "evaluation"]

# Values of the widest activation in one batch: 16 MiB in float32.
_VALUES = 2**22


@dataclass(frozen=True)
class LayerSpectra:
    """Sample-mean shell spectra before and after the nonlinearity of one layer.

    Attributes:
        name: name of the layer in ``model.named_modules()``.
        grid: the model's box with as many points as the layer's output.
        wavenumber: (nk,) shell centres of that grid, float64.
        shell_width: dk, the same for all layers.
        linear: (nk,) spectrum of h, the layer's output, averaged over samples and channels.
        nonlinear: (nk,) the same of g, the output of the activation after it, or None.
        moved: (nk,) the same of g − a h, what the activation brought to each wavenumber from
            others, or None.
        linear_channels: (c, nk) spectrum of h of each channel.
        nonlinear_channels: (c, nk) the same of g, or None.
        moved_channels: (c, nk) the same of g − a h, or None.
        linear_samples: (n, nk) spectrum of h of each sample, averaged over channels.
    """

    name: str
    grid: Grid
    wavenumber: Tensor
    shell_width: float
    linear: Tensor
    nonlinear: Tensor | None
    moved: Tensor | None
    linear_channels: Tensor
    nonlinear_channels: Tensor | None
    moved_channels: Tensor | None
    linear_samples: Tensor

    @property
    def moved_share(self) -> float:
        """Share Σ_k E[g − a h] / Σ_k E[g] of the energy of g; NaN without an activation."""
        if self.moved is None or self.nonlinear is None:
            return float("nan")
        return float(self.moved.sum() / self.nonlinear.sum())


def activation_spectra(
    model: nn.Module,
    inputs: Tensor,
    grid: Grid,
    layers: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> list[LayerSpectra]:
    """Return the spectra of the activations of a network, layer by layer.

        ⟨E[h]⟩(k),   ⟨E[g]⟩(k),      h = W ⋆ g_previous + b,   g = σ(h)

    averaged over samples; h is the *linear activation*, g the *nonlinear* one. The layer itself
    only rescales wavenumbers; σ moves energy between them. How much, channel by channel:

        g = a h + (g − a h),      a = cov(g, h) / var(h)

    a h has every wave of h in its place; the rest came from other wavenumbers. Where h is
    Gaussian, Bussgang's theorem makes g − a h uncorrelated with h at every wavenumber: a ReLU of
    a Gaussian h without mean moves half of the energy of g, 32 % of it into the mean.

    h is the output of a convolution, transposed convolution or linear layer, or of any module
    named in `layers`. g is the output of the first activation, module or function, that runs after
    it and before the next such layer, whatever normalisation lies between, if it has the shape of
    h. It is None for an output layer, after pooling, and for activations written out by hand
    (``x * torch.sigmoid(x)``), which cannot be recognised. h is measured before an in-place
    activation overwrites it. A `Linear` layer counts where its output is (n, *grid, c).

    Spectra are summed batch by batch, so no activation outlives its batch; of each sample one
    spectrum a layer remains. The model runs in eval
    mode without gradients; its modes are restored and all hooks removed, also after an error.

    Args:
        model: any module that maps one tensor to one tensor.
        inputs: (n, c_in, *grid.shape); moved to the device and dtype of the model in batches.
        grid: the grid of the inputs. A layer at another resolution is given the same box with its
            own number of points, so that wavenumbers compare; without padding this is a little off.
        layers: names of modules, in the order wanted, or None for all convolutions and linear
            layers with an output on a grid, in the order in which they first ran.
        batch_size: samples at a time; by default as many as keep the largest activation within
            16 MiB, at least one.

    Returns:
        One `LayerSpectra` for each layer, float64, on the CPU.

    Raises:
        LayerError: if a name is not in the model, did not run, or has no output on a grid of the
            same dimension.
        DataError: if the inputs do not fit the grid, or an activation is NaN or infinite.

    Source: Subel et al., PNAS Nexus 2 (2023), eqs. 4–8 and Fig. 3; Bussgang, MIT Res. Lab. Elec.
    Tech. Rep. 216 (1952).
    """
    if inputs.ndim != grid.ndim + 2 or tuple(inputs.shape[2:]) != grid.shape or not len(inputs):
        raise DataError(
            f"inputs: found shape {tuple(inputs.shape)}, "
            f"expected (sample, channel, {', '.join(map(str, grid.shape))})"
        )
    modules = dict(model.named_modules())
    unknown = [name for name in layers or () if name not in modules]
    if unknown:
        raise LayerError(f"layers {unknown} are not in the model, which has {sorted(modules)}")
    recorder = _Recorder(grid, len(inputs), strict=layers is not None)
    with evaluation(model), recorder.attached(modules, layers):
        reference = next(model.parameters(), inputs)
        kind = reference.dtype if reference.is_floating_point() else inputs.dtype
        done, step = 0, batch_size or 1
        while done < len(inputs):
            batch = inputs[done : done + step]
            recorder.start(slice(done, done + len(batch)))
            model(batch.to(device=reference.device, dtype=kind))
            done += step
            # The first sample alone has shown how large the activations are.
            step = batch_size or max(1, _VALUES // max(1, recorder.largest))
    missing = [name for name in layers or () if name not in recorder.sums]
    if missing:
        raise LayerError(f"layers {missing} did not run on these inputs")
    return [recorder.result(name) for name in (layers or recorder.sums)]


class _Recorder:
    """Hooks that pair each layer's output h with the activation g that follows."""

    def __init__(self, grid: Grid, samples: int, strict: bool) -> None:
        self.sums: dict[str, LayerSums] = {}
        self.largest = 0
        self._grid = grid
        self._samples = samples
        self._batch = slice(0)
        self._strict = strict
        self._pending: tuple[str, torch.Size, bool] | None = None

    @contextmanager
    def attached(
        self, modules: dict[str, nn.Module], layers: Sequence[str] | None
    ) -> Iterator[None]:
        """Watch the model for the time of the context."""
        handles = []
        try:
            for name, module in modules.items():
                weighted = isinstance(module, WEIGHT_LAYERS)
                if weighted or name in (layers or ()):
                    wanted = layers is None or name in layers
                    handles.append(module.register_forward_hook(self._layer_hook(name, wanted)))
                elif isinstance(module, ACTIVATION_MODULES):
                    handles.append(module.register_forward_hook(self._activation_hook))
            with torch.no_grad(), WatchActivations(self._activated):
                yield
        finally:
            for handle in handles:
                handle.remove()

    def start(self, batch: slice) -> None:
        """Begin the samples of a batch: nothing that now runs follows what ran before."""
        self._batch = batch
        self.forget()

    def forget(self) -> None:
        """Drop the layer that ran last: no activation follows it."""
        if self._pending is not None:
            self.sums[self._pending[0]].forget()
        self._pending = None

    def result(self, name: str) -> LayerSpectra:
        """Return the mean spectra of a layer."""
        sums = self.sums[name]
        h, g, moved = sums.linear, sums.nonlinear, sums.moved
        return LayerSpectra(
            name=name,
            grid=sums.grid,
            wavenumber=shell_wavenumbers(sums.grid),
            shell_width=fundamental_wavenumber(sums.grid),
            linear=h.mean(0),
            nonlinear=None if g is None else g.mean(0),
            moved=None if moved is None else moved.mean(0),
            linear_channels=h,
            nonlinear_channels=g,
            moved_channels=moved,
            linear_samples=sums.linear_samples,
        )

    def _layer_hook(self, name: str, wanted: bool) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, _inputs: object, out: object) -> None:
            self.forget()
            if not wanted:
                return
            last = isinstance(module, nn.Linear)  # its channels come last
            if not isinstance(out, Tensor) or not self._on_grid(out, last):
                if self._strict:
                    shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
                    raise LayerError(
                        f"{name}: found output {shape}, expected a tensor (sample, channel, "
                        f"{', '.join(self._grid.dims)}) with at least 2 points in each dimension"
                    )
                return
            self._sums(name, out, last)
            self._pending = (name, out.shape, last)

        return hook

    def _activation_hook(self, _module: nn.Module, _inputs: object, out: object) -> None:
        if isinstance(out, Tensor):
            self._activated(out)

    def _activated(self, out: Tensor) -> None:
        if self._pending is None or out.shape != self._pending[1]:
            return
        name, _, last = self._pending
        self._pending = None
        with _naming(name):
            self.sums[name].add_nonlinear(_channels_first(out, last))

    def _on_grid(self, out: Tensor, last: bool) -> bool:
        if out.ndim != self._grid.ndim + 2 or not out.is_floating_point():
            return False
        return min(out.shape[1:-1] if last else out.shape[2:]) >= 2

    def _sums(self, name: str, out: Tensor, last: bool) -> None:
        values = _channels_first(out, last)
        shape = tuple(values.shape[2:])
        if name not in self.sums:
            grid = self._grid.with_shape(shape)
            self.sums[name] = LayerSums(grid, values.shape[1], self._samples)
        running = self.sums[name]
        if running.grid.shape != shape:
            raise LayerError(
                f"{name}: found outputs of shape {running.grid.shape} and {shape}; a layer that "
                "runs at two resolutions has no single spectrum, leave it out of `layers`"
            )
        self.largest = max(self.largest, values.numel() // len(values))
        with _naming(name):
            running.add_linear(values, self._batch)


def _channels_first(out: Tensor, last: bool) -> Tensor:
    return out.movedim(-1, 1) if last else out


@contextmanager
def _naming(layer: str) -> Iterator[None]:
    """Name the layer whose output is refused."""
    try:
        yield
    except DataError as error:
        raise DataError(f"output of layer {layer}: {error}") from error


@contextmanager
def evaluation(model: nn.Module) -> Iterator[None]:
    """Put a model into eval mode for the time of the context."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
