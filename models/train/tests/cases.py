"""Trains the tiny network in the ways that must come to the same, as one process or under `torchrun`: `cases.py FOLDER`."""

import pathlib
import sys

import torch

import tiny
from lepton import distributed, loop

# By name: does the network have batch normalisation; micro-batches; statistics; shares.
CASES = {
    "plain": (False, 1, "synchronised", "even"),
    "muon": (True, 1, "synchronised", "even"),
    "plain-accumulated": (False, 2, "synchronised", "even"),
    "synchronised": (True, 1, "synchronised", "even"),
    "synchronised-accumulated": (True, 2, "synchronised", "even"),
    "local": (True, 1, "local", "even"),
    "local-accumulated": (True, 2, "local", "even"),
    "uneven": (True, 1, "synchronised", "speed"),
}


def main(folder):
    """Writes the weights of every case."""
    torch.set_num_threads(1)
    group = distributed.join(60)
    folder = pathlib.Path(folder) / f"of-{group.size}"
    for name, (normalised, accumulate, batch_norm, shards) in CASES.items():
        # Adam would turn the last bits of a gradient near nothing into whole steps.
        settings = {"optimiser": "muon", "rate": 0.004} if name == "muon" else {"optimiser": "sgd", "rate": 0.05}
        task = tiny.task(name, normalised, **settings)
        run = loop.Run(group, folder, accumulate, shards, batch_norm, every_s=1e9, board=False)
        trainer = loop.Trainer(task, run)
        if shards == "speed":
            # As after a measurement, but the same in every run.
            trainer.measure_speeds = lambda: None
            trainer.speeds = [1.0, 2.2][: group.size]
        net = trainer.go()
        if group.first:
            torch.save(net.state_dict(), folder / f"{name}.pt")
    group.leave()


if __name__ == "__main__":
    main(sys.argv[1])
