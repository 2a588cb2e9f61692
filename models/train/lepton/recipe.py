"""Recipes and their command line: `python models/train/train.py RECIPE`."""

import argparse
import dataclasses
import os
import pathlib
import sys
import typing

import torch

from . import checkpoint, distributed, fit, loop

ROOT = pathlib.Path(__file__).resolve().parents[3]
# Arguments that come before what a recipe says.
OVERRIDES = ("epochs", "batch", "rate", "precision")


@dataclasses.dataclass
class Recipe:
    """A model that can be made: from data to a bundle."""

    name: str
    about: str
    """One line of help."""
    make: typing.Callable
    """Takes a `Context`; called in every process."""
    arguments: typing.Callable = lambda parser: None
    """Adds the recipe's own arguments."""


class Context:
    """Arguments, processes and folders that a recipe is run with."""

    def __init__(self, args, group):
        self.args, self.group = args, group
        self.runs = args.runs

    @property
    def finishes(self):
        """True in the one process that writes the bundle, if any is to be written."""
        return self.group.first and not self.args.train_only

    def bundle(self, name):
        """The directory of a bundle: the shipped one's own where the recipe was followed, else one among the runs."""
        args = self.args
        changed = args.subset or any(getattr(args, key) is not None for key in OVERRIDES)
        folder = self.runs / name / "bundle" if changed else ROOT / "models" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def data(self, read):
        """The value that `read` gives. It may write files: one process of each host calls it before the others do."""
        if self.group.size == 1:
            return read()
        value = read() if self.group.local_rank == 0 else None
        self.group.wait()
        return read() if self.group.local_rank else value

    def fit(self, task):
        """The network of a task, trained. Arguments of the command line come before what the recipe says."""
        for key in OVERRIDES:
            if getattr(self.args, key) is not None:
                setattr(task, key, getattr(self.args, key))
        if self.args.subset:
            task.samples, task.answers = task.samples[:: self.args.subset], task.answers[:: self.args.subset]
        args = self.args
        run = loop.Run(
            self.group, self.runs, args.accumulate, args.shards, args.batch_norm, args.checkpoint_s, args.checkpoint_steps,
            args.again and not args.went_on, not args.plain_log,
        )
        return loop.fit(task, run)


def parser(recipes):
    """The command line: what all recipes have in common, and what each adds."""
    found = argparse.ArgumentParser(prog="train.py", description="Trains a model of this project and writes its bundle.")
    found.add_argument("--list", action="store_true", help="names the recipes")
    subs = found.add_subparsers(dest="recipe", metavar="RECIPE")
    for recipe in recipes:
        sub = subs.add_parser(recipe.name, help=recipe.about, description=recipe.about)
        add = sub.add_argument
        add("--epochs", type=int, help="in the place of the recipe's")
        add("--batch", type=int, metavar="N", help="samples of a step over all processes, in the place of the recipe's")
        add("--rate", type=float, help="highest learning rate, in the place of the recipe's")
        add("--precision", choices=("fp32", "bf16"), help="in the place of the recipe's")
        add("--subset", type=int, metavar="N", help="takes every Nth sample alone, to try something out")
        add("--accumulate", type=int, default=1, metavar="N", help="micro-batches of a step in each process")
        add("--shards", choices=("even", "speed"), default="even", help="samples of each process: the same, or by its measured speed")
        add("--batch-norm", choices=("synchronised", "local"), default="synchronised", help="statistics over all processes, or of each part")
        add("--checkpoint-s", type=float, default=60, metavar="S", help="seconds between checkpoints")
        add("--checkpoint-steps", type=int, default=0, metavar="N", help="steps between checkpoints, in the place of seconds")
        add("--runs", "--resume", type=pathlib.Path, default=fit.RUNS, metavar="DIR", help="checkpoints and curves; what is there goes on")
        add("--again", action="store_true", help="begins anew where a run is there")
        add("--train-only", action="store_true", help="ends with the last checkpoint: nothing is exported, no bundle is written")
        add("--plain-log", action="store_true", help="leaves out histograms and pictures")
        add("--threads", type=int, default=1, help="of each process; one is fastest on a machine that does other work, too")
        add("--timeout-s", type=float, default=1800, metavar="S", help="how long the other processes may be silent")
        add("--leptond", type=pathlib.Path, help="a built leptond, to measure the bundle with it, too")
        recipe.arguments(sub)
    return found


def run(recipes, argv, restarts=0):
    """Runs the recipe that the arguments name; returns the exit code."""
    parse = parser(recipes)
    args = parse.parse_args(argv)
    if args.list or args.recipe is None:
        for recipe in recipes:
            print(f"{recipe.name:18} {recipe.about}")
        return 0 if args.list else 2
    if args.accumulate < 1 or args.threads < 1 or args.epochs is not None and args.epochs < 1:
        parse.error("--accumulate, --threads and --epochs begin at 1")
    args.went_on = restarts > 0
    torch.set_num_threads(args.threads)
    recipe = next(r for r in recipes if r.name == args.recipe)
    try:
        group = distributed.join(args.timeout_s)
        recipe.make(Context(args, group))
        group.wait()
    except (checkpoint.Mismatch, distributed.Lost, FileNotFoundError, ValueError) as error:
        print(f"{args.recipe}: {error}", file=sys.stderr, flush=True)
        return 1
    group.leave()
    return 0


def end(code):
    """Ends a program that `run` was the last of. Threads of gloo may outlive their group, and abort a process that is being taken apart
    while they run: `torchrun` would take that for a loss."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code) if "WORLD_SIZE" in os.environ else sys.exit(code)
