"""Transfers: base networks, their re-training on other systems, and what advice would have chosen.

`python -m benchmarks.transfers` simulates the flows, trains the base networks, re-trains every
layer of each on each target (the truth), asks every criterion, and writes the tables and figures
of results/advice/. All of it resumes; `flows`, `networks`, `truth`, `sets`, `advice` or `table`
behind the command runs one part.
"""
