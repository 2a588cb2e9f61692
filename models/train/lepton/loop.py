"""The training loop: one for every recipe, in one process or many.

A step takes one global batch. It is divided over the processes, and in each into micro-batches, and the gradients are weighted by samples
and summed: the step is that of one process with the whole batch. What is drawn at random is drawn for the whole batch (`chance`), batch
normalisation is synchronised (`batchnorm`). A step of two processes so differs from that of one only by the order in which floats are added.
"""

import dataclasses
import time
import typing

import torch
from torch import nn

from . import batchnorm, chance, checkpoint, distributed, log, optimise

# Steps between two looks at the speeds of the processes.
SPEED_STEPS = 20


@dataclasses.dataclass
class Task:
    """A network, its data, and the settings of its training. Fields with a meaning for one process alone say the same for many."""

    name: str
    net: nn.Module
    samples: torch.Tensor
    """`[N, …]`, as they lie in memory."""
    answers: torch.Tensor
    """`[N]` or `[N, …]`."""
    epochs: int
    batch: int
    """Samples of a step over all processes. Those at the end of an epoch that fill no batch are left out."""
    rate: float
    normalise: typing.Callable
    """Samples, after `augment`, as the network takes them."""
    draw: typing.Callable = lambda total: ()
    """Random numbers for a batch: tensors with one row a sample, or plain values for all of them."""
    augment: typing.Callable = lambda samples, answers, draws: (samples, answers)
    criterion: typing.Callable = None
    """Mean loss of the network's outputs and the answers; cross-entropy with `smoothing` where there is none."""
    smoothing: float = 0.0
    optimiser: str = "adamw"
    decay: float = 1e-4
    schedule: str = "one-cycle"
    """`one-cycle`, `trapezoid`, `cosine` or `constant`."""
    warm_up: float = 0.25
    """Share of the steps until the highest rate of `one-cycle`."""
    average: float = 0.0
    """Decay of the moving average of the weights, which are kept instead of the last; 0 keeps the last."""
    precision: str = "fp32"
    """`bf16`: layers compute in bfloat16, weights stay float32."""
    repeated: int = 0
    """Samples of an epoch, drawn with replacement; 0 takes each once."""
    classes: bool = True
    """The largest output is the answer: how often that is right is counted."""
    measure: typing.Callable = None
    """Network to the figure of the curve "held out"; only looked at."""
    confusion: typing.Callable = None
    """Network to counts `[right, answered]`."""

    def settings(self):
        """Settings that must be equal where a run goes on."""
        keys = ("name", "epochs", "batch", "rate", "optimiser", "decay", "schedule", "average", "precision")
        return {key: getattr(self, key) for key in keys} | {"samples": len(self.samples)}


@dataclasses.dataclass
class Run:
    """Settings of the run: nothing of this changes what a step does, but for `batch_norm`."""

    group: distributed.Group
    folder: typing.Any
    accumulate: int = 1
    """Micro-batches of a step."""
    shards: str = "even"
    """`speed`: each process takes samples by its measured speed."""
    batch_norm: str = "synchronised"
    every_s: float = 60.0
    """Seconds between checkpoints."""
    every_steps: int = 0
    """Steps between checkpoints, in the place of seconds."""
    again: bool = False
    """Begin anew where there are checkpoints."""
    board: bool = True
    """Histograms and pictures for TensorBoard."""


class Trainer:
    """The state of one run."""

    def __init__(self, task, run):
        self.task, self.run, self.group = task, run, run.group
        self.folder = run.folder / task.name
        self.net = task.net.to(memory_format=torch.channels_last)
        divided = self.group.size > 1 or run.accumulate > 1
        self.norms = batchnorm.share(self.net, self.group, run.batch_norm == "synchronised") if divided else []
        self.divided = divided
        self.parameters = [p for p in self.net.parameters() if p.requires_grad]
        count = task.repeated or len(task.samples)
        self.steps = count // task.batch
        if self.steps == 0:
            raise ValueError(f"{task.name}: {count} samples fill no batch of {task.batch}")
        if task.batch < self.group.size * run.accumulate:
            raise ValueError(f"a batch of {task.batch} samples is too small for {self.group.size} processes with {run.accumulate} micro-batches")
        self.optimiser = optimise.optimiser(task.optimiser, self.net, task.rate, task.decay)
        self.schedule = optimise.schedule(task.schedule, self.optimiser, task.epochs, self.steps, task.warm_up)
        self.criterion = task.criterion or nn.CrossEntropyLoss(label_smoothing=task.smoothing)
        self.average = optimise.Average(self.net, task.average) if task.average else None
        self.epoch, self.at, self.order = 0, 0, None
        self.totals = torch.zeros(3, dtype=torch.float64)
        self.seconds = 0.0
        self.speeds = [1.0] * self.group.size
        self.counted, self.busy = 0, 0.0

    @property
    def step(self):
        return self.epoch * self.steps + self.at

    def state(self):
        """Everything that the steps to come depend on."""
        return {
            "settings": self.task.settings(), "net": self.net.state_dict(), "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict() if self.schedule else None,
            "average": self.average.state_dict() if self.average else None, "epoch": self.epoch, "at": self.at,
            "order": None if self.order is None else self.order.to(torch.int32), "chance": torch.get_rng_state(), "totals": self.totals,
            "seconds": self.seconds,
        }

    def restore(self, state):
        """Goes back to where `state` was saved."""
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.schedule:
            self.schedule.load_state_dict(state["schedule"])
        if self.average:
            self.average.load_state_dict(state["average"])
        self.epoch, self.at, self.totals, self.seconds = state["epoch"], state["at"], state["totals"], state["seconds"]
        self.order = None if state["order"] is None else state["order"].long()
        torch.set_rng_state(state["chance"])

    def shares(self):
        """Samples of a micro-batch for each process."""
        total = self.task.batch // self.run.accumulate
        return distributed.shares(total, self.speeds if self.run.shards == "speed" else [1.0] * self.group.size)

    def parts(self, counts):
        """Spans of this process in a global batch, one for each micro-batch."""
        total = self.task.batch
        begin = 0
        for index in range(self.run.accumulate):
            size = total * (index + 1) // self.run.accumulate - begin
            part = counts if size == sum(counts) else distributed.shares(size, [float(c) for c in counts])
            first, last = distributed.span(part, self.group.rank)
            yield begin + first, begin + last
            begin += size

    def forward(self, x, y, draws):
        """Loss, outputs and answers of samples."""
        x, y = self.task.augment(x, y, draws)
        x = self.task.normalise(x)
        if x.dim() == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        if self.task.precision == "bf16":
            with torch.autocast("cpu", torch.bfloat16):
                out = self.net(x)
            out = tuple(o.float() for o in out) if isinstance(out, tuple) else out.float()
        else:
            out = self.net(x)
        return self.criterion(out, y), out, y, x

    def batch(self, pick, draws, counts):
        """One global batch: leaves the gradients of all of it, and returns sums of loss and of right answers, and the last inputs."""
        began = time.monotonic()
        total, loss_sum, right = self.task.batch, 0.0, 0.0
        self.optimiser.zero_grad(set_to_none=True)
        with chance.Batch(total) as batch:
            for begin, end in self.parts(counts):
                batch.begin, batch.end = begin, end
                mine = tuple(d[begin:end] if torch.is_tensor(d) and d.dim() else d for d in draws)
                samples, answers = self.task.samples[pick[begin:end]], self.task.answers[pick[begin:end]]
                loss, out, y, x = self.forward(samples, answers, mine)
                n = end - begin
                (loss if n == total else loss * (n / total)).backward()
                loss_sum += loss.item() * n
                right += _right(out, y) if self.task.classes else 0.0
                self.counted += n
        self.busy += time.monotonic() - began
        if self.divided:
            loss_sum, right = self.reduce(loss_sum, right)
        return loss_sum, right, x

    def reduce(self, loss_sum, right):
        """Adds up gradients, statistics and counts of all processes in one message."""
        statistics = [norm.take() for norm in self.norms]
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.parameters]
        pieces = [g.flatten() for g in gradients] + statistics + [torch.tensor([loss_sum, right], dtype=torch.float32)]
        flat = self.group.sum(torch.cat(pieces))
        place = 0
        for p, g in zip(self.parameters, gradients):
            p.grad = flat[place : place + g.numel()].view_as(g).clone(memory_format=torch.preserve_format)
            place += g.numel()
        for norm, found in zip(self.norms, statistics):
            norm.settle(flat[place : place + len(found)] / self.task.batch)
            place += len(found)
        return flat[place].item(), flat[place + 1].item()

    def agreed(self):
        """Raises where the processes no longer have the same weights and the same chance: nothing after that would mean anything."""
        weights = sum(p.detach().double().sum().item() for p in self.parameters)
        # Exact in 64 bits: bytes of the generator's state.
        state = torch.get_rng_state().double()
        digest = (state * torch.arange(1, len(state) + 1)).sum().item()
        for what, value in (("weights", weights), ("random numbers", digest)):
            found = self.group.gather(value)
            if any(v != found[0] for v in found):
                raise RuntimeError(f"{self.task.name}: the processes have different {what}: {found}")

    def measure_speeds(self):
        """Samples a second of every process since the last look."""
        if not self.busy:
            return
        found = self.group.gather(self.counted / self.busy)
        first = all(s == 1.0 for s in self.speeds)
        # Half of what was known: one slow moment does not turn everything over.
        self.speeds = found if first else [(a + b) / 2 for a, b in zip(self.speeds, found)]
        self.counted, self.busy = 0, 0.0

    def draw_order(self):
        """The samples of an epoch in their order: each once, or drawn with replacement."""
        count = len(self.task.samples)
        if self.task.repeated:
            return torch.randint(count, (self.task.repeated,))
        return torch.randperm(count)

    def go(self):
        """All epochs that are left."""
        task, run = self.task, self.run
        store = checkpoint.Store(self.folder)
        if run.again:
            if self.group.local_rank == 0:
                store.clear()
            self.group.wait()
        state = checkpoint.newest(store, self.group, task.settings(), self.tell)
        if state is not None:
            self.restore(state)
            self.tell(f"{task.name} goes on after step {self.step} of {task.epochs * self.steps}")
        self.group.share(None)
        self.log = log.Log(self.folder, task.name, self.step) if self.group.first else None
        self.saved_at = time.monotonic()
        while self.epoch < task.epochs:
            self.one_epoch(store)
        if self.average:
            self.average.give(self.net)
        if self.log:
            self.log.close()
        return self.net.eval()

    def tell(self, text):
        """Prints a line in the first process."""
        if self.group.first:
            print(text, flush=True)

    def one_epoch(self, store):
        """The rest of an epoch, its line in the log, and a checkpoint."""
        task = self.task
        self.net.train()
        began = time.monotonic() - self.seconds
        if self.order is None:
            self.agreed()
            self.order = self.draw_order()
        x = None
        while self.at < self.steps:
            if self.step % SPEED_STEPS == SPEED_STEPS - 1:
                self.measure_speeds()
            pick = self.order[self.at * task.batch : (self.at + 1) * task.batch]
            loss, right, x = self.batch(pick, task.draw(task.batch), self.shares())
            self.optimiser.step()
            if self.schedule:
                self.schedule.step()
            if self.average:
                self.average.update(self.net)
            self.totals += torch.tensor([loss, right, task.batch], dtype=torch.float64)
            self.at += 1
            if self.log and self.step % SPEED_STEPS == 0:
                self.log.step(self.step, loss / task.batch)
            self.seconds = time.monotonic() - began
            if self.at < self.steps:
                self.save_if_due(store)
        self.finish_epoch(x, began)
        self.save(store)

    def finish_epoch(self, x, began):
        """Figures of the epoch that has ended."""
        task = self.task
        rate = self.optimiser.param_groups[0]["lr"]
        loss, right, seen = self.totals.tolist()
        # Of training alone: looking at the network costs the same however it is trained.
        seconds = time.monotonic() - began
        self.measure_speeds()
        held = None
        # Only the first process measures: the others wait at their next message.
        if self.log:
            kept = self.average.net(self.net) if self.average else self.net
            held = task.measure(kept.eval()) if task.measure else None
            row = {
                "step": (self.epoch + 1) * self.steps, "epoch": self.epoch + 1, "loss": loss / seen, "train": right / seen if task.classes else None,
                "held_out": held, "rate": rate, "seconds": seconds,
            }
            self.log.epoch(row, task.epochs, self.speeds, self.shares())
            if self.run.board and x is not None:
                self.log.inputs(x, row["step"])
                self.log.histograms(self.net, x, row["step"])
                if task.confusion:
                    self.log.confusion(task.confusion(kept), row["step"])
        self.epoch, self.at, self.order = self.epoch + 1, 0, None
        self.totals.zero_()
        self.seconds = 0.0

    def save_if_due(self, store):
        """Saves when the interval is over. By time, the first process says when, so that all save the same step."""
        if self.run.every_steps:
            due = self.step % self.run.every_steps == 0
        else:
            due = self.step % SPEED_STEPS == 0 and self.group.gather(time.monotonic() - self.saved_at)[0] >= self.run.every_s
        if due:
            self.save(store)

    def save(self, store):
        """A checkpoint of each host."""
        if self.group.local_rank == 0:
            store.save(self.step, self.state())
        self.saved_at = time.monotonic()


def _right(out, y):
    """Samples whose largest output is the largest answer."""
    first = out[0] if isinstance(out, tuple) else out
    return float((first.argmax(1) == (y if y.dim() == 1 else y[:, : first.shape[1]].argmax(1))).sum())


def fit(task, run):
    """Trains `task.net` in place and returns it, ready to be used; with the weights of an earlier run that was finished, unless `again`."""
    return Trainer(task, run).go()
