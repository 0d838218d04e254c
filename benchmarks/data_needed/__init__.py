"""How many target samples re-training needs, and how many training from scratch needs.

`python -m benchmarks.data_needed` trains on 1 to 100 % of 200 target samples of the paper's three
cases: the layer that is advised, all layers, and a network from scratch. The error by number of
samples, and the number that reaches an equal error, are written to results/training/. All of it
resumes; `flows`, `trainings` or `table` behind the command runs one part. It needs the flows and
base networks of `python -m benchmarks.transfers`.

Settled before any result was looked at:

- A sample of n is spread evenly over the 200. From it, a fifth (at least one sample) is held back
  in all three ways of training, and the weights are those of the epoch with the lowest error on it.
- Re-training takes 300 steps of Adam, as in `benchmarks.transfers`, from scratch 1000; a step sees
  5 samples, or all where there are fewer. The number of samples does not change the steps.
- The layer is advised from the n samples alone, of which the advice looks at no more than 10.
- A network from scratch is standardised by the statistics of its own samples.
- Arithmetic is float32. In bfloat16 the advised layer ends at the same error to a thousandth, but
  all layers end 1 to 7 % higher (case 1, 50 samples, three seeds), which would favour the layer.
"""
