#!/usr/bin/env python3
"""The one way to train: `python models/train/train.py RECIPE`, or with two processes, here and on other hosts,
`torchrun --nproc-per-node 2 models/train/train.py RECIPE` (see docs/training.md)."""

import os
import sys

import cifar10
import dials
import digits
import machine_anomaly
from lepton import recipe

RECIPES = [cifar10.RECIPE, digits.RECIPE, dials.RECIPE, machine_anomaly.RECIPE]


def main(argv=None):
    """Exit code 0, or 1 with the reason on standard error."""
    return recipe.run(RECIPES, argv, restarts=int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")))


if __name__ == "__main__":
    recipe.end(main())
