"""Chance that is the same however a batch is divided.

Every process draws the random numbers of the whole global batch, in the same order from the same generator, and takes those of its own
samples. So one process, two of them, and two micro-batches in one see the same pictures and drop the same values."""

import random

import numpy
import torch
from torch import nn


def seed_everything(seed):
    """Fixes every source of chance. Equal seeds give equal weights on one machine and torch version."""
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)


class Batch:
    """A global batch of `total` samples, of which `begin..end` are computed at the moment."""

    def __init__(self, total):
        self.total, self.begin, self.end, self._masks = total, 0, total, {}

    def whole(self):
        """True while all of it is computed at once."""
        return self.begin == 0 and self.end == self.total

    def mask(self, module, x):
        """Factors of the input `[end - begin, …]` of `module`: drawn once for the whole batch."""
        key = id(module)
        if key not in self._masks:
            full = torch.empty((self.total, *x.shape[1:]), dtype=x.dtype)
            self._masks[key] = full.bernoulli_(1 - module.p).div_(1 - module.p)
        return self._masks[key][self.begin : self.end]

    def __enter__(self):
        Dropout.batch = self
        return self

    def __exit__(self, *_):
        Dropout.batch = None


class Dropout(nn.Dropout):
    """Dropout whose mask does not depend on how the batch is divided."""

    batch = None

    def forward(self, x):
        batch = Dropout.batch
        if not self.training or self.p == 0 or batch is None or batch.whole():
            return super().forward(x)
        return x * batch.mask(self, x)
