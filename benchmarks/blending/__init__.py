r"""A network trained on simulations, re-trained with satellite fields: one case worked through.

`python -m benchmarks.blending` writes results/training/blending.{json,md,png,pdf}. It needs the
flow qg-eddy of `python -m benchmarks.transfers` and, once, the wheel with the maps.

Task
    Fill the gaps between satellite tracks. On a patch of 32 × 32 points, four tracks see the
    geostrophic stream function ψ, two with little noise and two with twice as much. Inputs are the
    optimal interpolation of what they see, with the covariance of the base system, and the map of
    the points seen; the network adds what is missing, so that its output plus the interpolation is
    the field. A patch is in units of the standard deviation of what its tracks see, so that quiet
    and rough patches weigh alike; errors are mean squared error over variance on these units.

Base
    Simulated two-layer quasi-geostrophic turbulence (upper ψ of qg-eddy, deformation radius 15 km),
    interpolated to 12.5 km by its Fourier series, four patches a snapshot, each seen by five
    independent sets of tracks. The whole field is known.

Target
    ψ = −g η/f₀ from the altimetric map of 2019-02-23 (`benchmarks.altimetry`), 25 km: like the base
    about one point a deformation radius. Observations: 20 patches, each seen by two more tracks,
    which are not given to the network. Its loss is taken on these points alone, weighted by the
    known variance of their noise, 1.5 and 3 cm. No whole field of the target is used in training.

Split
    Base: the transfers' training and held-out members of qg-eddy. Target: patches between 20° and
    60° of either hemisphere, without land and without overlap; those in the last quarter of each
    60° of longitude are held out, and no patch crosses the boundary.

Limits
    The tracks are drawn across a map that is itself an optimal interpolation of altimetry, smooth
    below some 200 km: what a network learns is how such maps look, and the floor that is tuned on
    the target is close to how they are made. Tracks are straight, see one point a row and carry
    white noise; those of satellites are curved and have correlated errors. The map is one day. f₀
    is that of the middle of a patch, 800 km wide.

Settled before any result was looked at: 300 steps of 5 samples, as in `benchmarks.transfers`, 1000
from scratch, standardised like the base; the weights of the terms; and that the layer is advised
with the interpolation of all six tracks as a stand-in for the unknown field. Before that, how much
interpolation alone misses was looked at, to choose scale, tracks and noise of the task, and once
what a base network reaches with a single set of tracks for each patch, which became five.
"""
