"""A user's own networks: what nobody wrote for Spectune. Tests copy this file and import it."""

import torch
from torch import nn
from torch.nn import functional


class UNet(nn.Module):
    """Strided and transposed convolutions, group norm, skips, and a layer that never runs."""

    def __init__(self, width=8):
        super().__init__()
        self.stem = nn.Conv2d(2, width, 3, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)
        self.norm = nn.GroupNorm(4, 2 * width)
        self.middle = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.up = nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1)
        self.head = nn.Conv2d(2 * width, 1, 1)
        self.spare = nn.Linear(3, 3)
        self.gain = nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        skip = functional.gelu(self.stem(x))
        deep = functional.gelu(self.norm(self.down(skip)))
        deep = functional.gelu(self.middle(deep))
        deep = functional.gelu(self.up(deep))
        return self.gain * self.head(torch.cat([skip, deep], 1))


def cnn1d():
    """One ReLU object for all layers, as in many scripts."""
    relu = nn.ReLU()
    return nn.Sequential(
        nn.Conv1d(2, 12, 5, padding=2, padding_mode="circular"),
        relu,
        nn.Conv1d(12, 12, 5, padding=2, padding_mode="circular"),
        relu,
        nn.Conv1d(12, 1, 5, padding=2, padding_mode="circular"),
    )


class PointwiseMLP(nn.Module):
    """Linear layers on channels last."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 2)
        )

    def forward(self, x):
        return self.layers(x.movedim(1, -1)).movedim(-1, 1)


class Attention(nn.Module):
    """Batch norm, self-attention over points, and a block that owns a weight beside its layers."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv1d(2, 8, 3, padding=1)
        self.norm = nn.BatchNorm1d(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Conv1d(8, 1, 3, padding=1)

    def forward(self, x):
        tokens = torch.relu(self.norm(self.embed(x))).mT
        mixed, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        return self.head((tokens + mixed).mT)
