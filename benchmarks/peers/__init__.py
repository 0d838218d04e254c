"""Seconds per simulated time unit at equal accuracy, beside other libraries' 2D turbulence solvers.

Decaying turbulence, so well resolved that no library's way to truncate matters (its enstrophy
spectrum has fallen by `decades`), is advanced from t = 0 to 1. Each library takes the longest step
with which max|ω − ω_ref| ≤ 1e-4 max|ω_ref|; ω_ref is a float64 run with a fine step. Every scheme
and precision runs at N = 256; the fastest scheme of each library in each precision goes on to
N = 512 and 1024, unless eight times slower than the fastest of all. Where no step of a library is
that accurate, it takes the longest one that a shorter does not beat. `error` is in units of
max|ω_ref|, `build_seconds` (compilation, operators) is outside `seconds_per_unit`, and `ratio` is
over our fastest row of that N.

py2d is absent: what the package index has under this name is another package. Its scheme (AB2 with
Crank–Nicolson, not dealiased) is among ours.
"""

from benchmarks.peers.compare import run

__all__ = ["run"]
