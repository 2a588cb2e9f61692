"""A recipe of seconds, for the tests: drawn pictures of four kinds, a small network with everything that a division of a batch could change.

Run as a program it is `train.py` with this recipe alone, so that tests start it under `torchrun`."""

import os
import pathlib
import signal
import sys

import torch
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from lepton import chance, fit, loop, nets, recipe  # noqa: E402

CLASSES, SIZE = 4, 12


def pictures(count, seed):
    """uint8 `[N, 1, 12, 12]` with a bar along one of four ways, and which."""
    generator = torch.Generator().manual_seed(seed)
    answers = torch.randint(CLASSES, (count,), generator=generator)
    pixels = torch.randint(0, 120, (count, 1, SIZE, SIZE), generator=generator)
    for index, way in enumerate(answers.tolist()):
        at = int(torch.randint(3, SIZE - 3, (1,), generator=generator))
        bar = torch.zeros(SIZE, SIZE, dtype=torch.long)
        if way < 2:
            bar[at] = 110
        else:
            bar = torch.diag(torch.full((SIZE,), 110)).roll(at, 1)
        pixels[index, 0] += bar.T if way == 1 else bar.flip(1) if way == 3 else bar
    return pixels.clamp(0, 255).to(torch.uint8), answers


def network(normalised=True):
    """About 5000 weights, with dropout and, where `normalised`, batch normalisation."""
    net = nets.ResidualNet(1, CLASSES, (8, 3, 2), [(8, 1, 1), (16, 2, 0)], dropout=0.2)
    if not normalised:
        for module in list(net.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.BatchNorm2d):
                    setattr(module, name, nn.Identity())
    return net


def draw(total):
    """Shifts of pictures, and one value for all of them."""
    return torch.randint(-1, 2, (total,)), torch.rand(1).item()


def augment(samples, answers, draws):
    """Each shifted by its own number of columns, all made lighter or darker by the same."""
    shifts, light = draws
    moved = torch.stack([sample.roll(int(shift), 2) for sample, shift in zip(samples.float(), shifts)])
    return moved * (0.9 + 0.2 * light), answers


def task(name="tiny", normalised=True, count=512, **settings):
    """The training of a fresh network: equal weights at every call."""
    chance.seed_everything(1)
    samples, answers = pictures(count, 3)
    held_out = pictures(200, 4)
    defaults = {"epochs": 2, "batch": 64, "rate": 4e-3, "optimiser": "adamw", "average": 0.9}
    return loop.Task(
        name=name, net=network(normalised), samples=samples, answers=answers, normalise=lambda x: fit.normalise(x, [0.4], [0.2]),
        draw=draw, augment=augment, measure=lambda net: fit.evaluate(net, *held_out, [0.4], [0.2]),
        confusion=lambda net: fit.confusion(net, *held_out, [0.4], [0.2], CLASSES), **(defaults | settings),
    )


def arguments(parser):
    """Adds the arguments of the tests."""
    parser.add_argument("--die-at", type=int, default=0, metavar="STEP", help="process 1 kills itself before this step, once")
    parser.add_argument("--slow", type=float, default=0, metavar="S", help="process 1 takes so long for each sample besides")


def make(context):
    """Trains; with `--die-at`, process 1 is killed as by the kernel, when no process has been killed before."""
    args, steps = context.args, [0]
    mark = context.runs / "died"
    found = task()

    def drawn(total):
        steps[0] += 1
        if args.die_at and context.group.rank == 1 and steps[0] == args.die_at and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return draw(total)

    def slowed(x):
        if context.group.rank == 1 and args.slow:
            import time
            time.sleep(args.slow * len(x))
        return fit.normalise(x, [0.4], [0.2])

    found.draw, found.normalise = drawn, slowed
    context.fit(found)


RECIPE = recipe.Recipe("tiny", "for the tests", make, arguments)

if __name__ == "__main__":
    recipe.end(recipe.run([RECIPE], sys.argv[1:], restarts=int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))))
