"""Settings that every test shares."""

import torch
from hypothesis import settings

torch.set_num_threads(1)  # small arrays: a second thread costs more than it gives
settings.register_profile("spectune", deadline=None, max_examples=30)
settings.load_profile("spectune")
