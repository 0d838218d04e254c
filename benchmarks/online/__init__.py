"""Closures in the large-eddy simulation: the paper's three cases at desk size, several seeds.

`python -m benchmarks.online` takes the flows and base networks of `benchmarks.transfers`, re-trains
them as there (the same code and settings), runs ensembles of large-eddy simulations with them and
with physics closures, scores them against filtered direct simulations, judges the early warning,
and writes results/online/. Runs and weights are kept in runs/online/ and all of it resumes; `table`
behind the command writes the results of what is there.
"""
