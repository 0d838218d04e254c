"""Kernels grouped by the shape of their response: the data-driven view beside the four classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from torch import Tensor

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra._modes import full_plane_weight
from spectune.spectra.kernels import kernel_response

__all__ = ["KernelClusters", "cluster_kernels"]

_SCORED = 1500  # kernels behind a silhouette, whose cost grows with their square
_FITTED = 4096  # kernels that centroids are fitted to; the rest are assigned to them
_STARTS = 3  # restarts within one run of k-means
_ALIKE = 1e-9  # squared distance below which normalised responses are the same


@dataclass(frozen=True)
class KernelClusters:
    """Clusters of kernels of one layer.

    Attributes:
        labels: (c_out, c_in) cluster of each kernel, 0 for the largest; −1 for a kernel that is
            zero.
        numbers: (m,) numbers of clusters that were tried.
        silhouette: (m,) mean silhouette of each, −1 to 1. Below about 0.25, k-means has cut a
            continuum into pieces: there are no clusters to speak of.
        stability: (m,) mean adjusted Rand index over all pairs of reseeded runs, 1 for the same
            partition, 0 for no more agreement than chance.
        centroids: (n_clusters, *lattice) mean normalised response on the lattice of phases.
        lattice: grid of the centroids, in phases k Δ per point of the kernel: twice the kernel.
    """

    labels: Tensor
    numbers: Tensor
    silhouette: Tensor
    stability: Tensor
    centroids: Tensor
    lattice: Grid

    @property
    def count(self) -> int:
        """The chosen number of clusters, that of the highest silhouette."""
        return len(self.centroids)


def cluster_kernels(
    weight: Tensor, *, most: int = 8, runs: int = 5, seed: int = 0
) -> KernelClusters:
    """Group kernels by the shape of their gain, with k-means.

        minimise Σ_ij ‖ r_ij − c_{cluster(ij)} ‖²,      r_ij = |Ŵ_ij| / ‖Ŵ_ij‖

    on a lattice of twice the kernel's points, which fixes |Ŵ|² at every wavenumber (it is a
    trigonometric polynomial of degree K − 1): nothing is left out, and clusters depend neither
    on the size of the grid nor on a dilation. Scale, sign and shifts of a kernel change nothing.

    For each number of clusters from 2 to `most`, k-means runs from `runs` seeds. The run of the
    least sum is kept; the number with the highest silhouette is chosen; the adjusted Rand index
    between the runs says whether the clusters are the data's or the seed's.

    Args:
        weight: (c_out, c_in, *kernel).
        most: largest number of clusters tried; fewer if there are fewer different kernels.
        runs: k-means runs for each number, at least 2.
        seed: of k-means and of the kernels scored.

    Returns:
        A `KernelClusters`. Where fewer than 3 kernels differ there is nothing to choose: one
        cluster, and empty curves.

    Raises:
        DataError: if no kernel differs from zero, or a weight is not finite.

    Source: Subel et al., PNAS Nexus 2 (2023), who cluster |Ŵ| with k-means; Rousseeuw, J. Comput.
    Appl. Math. 20 (1987); Hubert and Arabie, J. Classif. 2 (1985).
    """
    kernels = weight.detach().to("cpu", torch.float64)
    if not bool(kernels.isfinite().all()):
        raise DataError("weight: found NaN or infinite values, expected none")
    lattice = _lattice(weight)
    gain = kernel_response(kernels, lattice).flatten(0, 1)
    measure = full_plane_weight(lattice)
    norm = (gain.square() * measure).flatten(1).sum(1).sqrt()
    alive = norm > 0
    if not bool(alive.any()):
        raise DataError("weight: every kernel is zero, so there is nothing to group")
    shape = gain[alive] / norm[alive].reshape(-1, *(1,) * lattice.ndim)
    points = (shape * measure.sqrt()).flatten(1).numpy()
    tried = list(range(2, min(most, _different(points, most) - 1) + 1))
    partitions = [_partition(points, count, runs, seed) for count in tried]
    scores = [_silhouette(points, best, seed) for best, _ in partitions]
    one = np.zeros(len(points), dtype=int)
    best = partitions[int(np.argmax(scores))][0] if partitions else one
    by_size = np.argsort(-np.bincount(best), kind="stable")
    place = torch.from_numpy(np.argsort(by_size)[best])
    labels = torch.full((len(gain),), -1, dtype=torch.int64)
    labels[alive] = place
    return KernelClusters(
        labels=labels.reshape(weight.shape[:2]),
        numbers=torch.tensor(tried, dtype=torch.int64),
        silhouette=torch.tensor(scores, dtype=torch.float64),
        stability=torch.tensor([ari for _, ari in partitions], dtype=torch.float64),
        centroids=torch.stack([shape[place == c].mean(0) for c in range(len(by_size))]),
        lattice=lattice,
    )


def _lattice(weight: Tensor) -> Grid:
    # Two points are the least of a grid; a kernel of one point has a flat response on any.
    shape = tuple(2 * size for size in weight.shape[2:])
    return Grid(shape, tuple(float(n) for n in shape), ("z", "y", "x")[-len(shape) :])


def _different(points: np.ndarray, most: int) -> int:
    """Return the number of different responses, or `most` + 1 if there are more."""
    rest, count = points, 0
    while len(rest) and count <= most:
        rest = rest[np.square(rest - rest[0]).sum(1) > _ALIKE]
        count += 1
    return count


def _partition(points: np.ndarray, count: int, runs: int, seed: int) -> tuple[np.ndarray, float]:
    """Return the labels of the best run, and the mean agreement of all pairs of runs."""
    fitted = points[np.random.default_rng(seed).permutation(len(points))[:_FITTED]]
    found = [
        KMeans(count, n_init=_STARTS, random_state=seed + run).fit(fitted) for run in range(runs)
    ]
    labels = [run.predict(points) for run in found]
    agreement = [adjusted_rand_score(a, b) for i, a in enumerate(labels) for b in labels[i + 1 :]]
    best = min(range(runs), key=lambda run: found[run].inertia_)
    return labels[best], float(np.mean(agreement))


def _silhouette(points: np.ndarray, labels: np.ndarray, seed: int) -> float:
    chosen = np.random.default_rng(seed).permutation(len(points))[:_SCORED]
    if len(np.unique(labels[chosen])) < 2:
        return -1.0
    return float(silhouette_score(points[chosen], labels[chosen]))
