"""Random filters of known class, for tests that have to find them again."""

import math

import torch


def planted(kind, n, generator, noise=0.02):
    """Return a random filter of a class, unit norm before noise, and its wave vector's angle.

    noise is the norm of white noise over that of the filter.
    """

    def uniform(low, high):
        return low + (high - low) * torch.rand((), generator=generator).item()

    r = torch.arange(n, dtype=torch.float64) - n // 2
    y, x = torch.meshgrid(r, r, indexing="ij")

    def gauss(s):
        g = torch.exp(-(x**2 + y**2) / (2 * s * s))
        return g / g.sum()

    angle = uniform(0, math.pi)
    if kind == "low-pass":
        w = gauss(uniform(0.8, 2.0))
    elif kind == "band-pass":
        s = uniform(0.65, 0.9)
        w = gauss(s) - gauss(s * uniform(1.6, 2.2))
    elif kind == "high-pass":
        w = torch.zeros(n, n, dtype=torch.float64)
        centre = slice(n // 2 - 1, n // 2 + 2)
        stencils = (
            [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
            [[1, 1, 1], [1, -8, 1], [1, 1, 1]],
        )
        choice = int(uniform(0, 3))
        if choice < 2:
            w[centre, centre] = torch.tensor(stencils[choice], dtype=torch.float64)
        else:
            w = -gauss(uniform(0.8, 1.6))
            w[n // 2, n // 2] += 1
    else:
        # Two lobes at ±k that a window of n points tells apart.
        k = math.pi * uniform(0.45, 0.65)
        u = x * math.cos(angle) + y * math.sin(angle)
        w = gauss(uniform(1.2, 1.8) * n / 5) * torch.cos(k * u + uniform(0, 2 * math.pi))
    w = w / w.norm()
    w = w + noise / n * torch.randn(n, n, generator=generator, dtype=torch.float64)
    return w * 10 ** uniform(-3, 3) * (1 if uniform(-1, 1) > 0 else -1), angle
