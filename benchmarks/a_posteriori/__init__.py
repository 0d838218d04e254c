"""One layer re-trained through the solver, against the same layer re-trained on pairs.

`python -m benchmarks.a_posteriori` simulates the data, re-trains conv2 of networks for k_f = 25 in
several ways for k_f = 4, scores them, and writes results/online/a_posteriori.{json,md,png}. It
needs the base networks of `python -m benchmarks.transfers flows networks`, and resumes.
"""
