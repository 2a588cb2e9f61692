"""Processes that train together: a gloo group under `torchrun`, or one process alone."""

import datetime
import os

import torch
import torch.distributed as dist


class Lost(RuntimeError):
    """Another process is gone. `torchrun` starts those that are left again, from the last checkpoint."""


class Group:
    """All processes of a run. Every method but the properties is called by all of them alike."""

    def __init__(self, rank=0, size=1, local_rank=0):
        self.rank, self.size, self.local_rank = rank, size, local_rank

    @property
    def first(self):
        """True in the one process that prints, logs and writes the bundle."""
        return self.rank == 0

    def sum(self, tensor):
        """Adds up a tensor over all processes, in place: every process gets the same bytes."""
        if self.size > 1:
            self.guarded(dist.all_reduce, tensor)
        return tensor

    def gather(self, value):
        """A number of each process, as a list of floats in the order of their ranks."""
        if self.size == 1:
            return [float(value)]
        found = torch.zeros(self.size, dtype=torch.float64)
        found[self.rank] = value
        return self.sum(found).tolist()

    def share(self, value, source=0):
        """The value of one process, given to all: anything made of plain values and tensors."""
        if self.size == 1:
            return value
        box = [value if self.rank == source else None]
        self.guarded(dist.broadcast_object_list, box, source)
        return box[0]

    def wait(self):
        """Goes on once every process has come here."""
        self.sum(torch.zeros(1))

    def leave(self):
        """Ends the group."""
        if self.size > 1:
            dist.destroy_process_group()

    @staticmethod
    def guarded(call, *arguments):
        """Calls something that wants the other processes, and says so when it fails."""
        try:
            call(*arguments)
        except RuntimeError as error:
            # gloo tells a dead peer only by its words; anything else that it cannot do ends a run just as well.
            raise Lost(f"the other processes cannot be reached: {str(error).splitlines()[0]}") from error


def join(timeout_s=600):
    """The group that `torchrun` describes in the environment, or one process alone.

    `timeout_s` is how long the others may take for one step before they count as lost."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Group()
    Group.guarded(lambda: dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=timeout_s)))
    return Group(dist.get_rank(), dist.get_world_size(), int(os.environ.get("LOCAL_RANK", "0")))


def shares(total, speeds):
    """Whole numbers that add up to `total`, as near to the ratio of `speeds` as can be, and at least one for each."""
    if total < len(speeds):
        raise ValueError(f"a batch of {total} samples is too small for {len(speeds)} processes")
    whole = sum(speeds)
    wanted = [total * speed / whole for speed in speeds]
    counts = [max(1, int(w)) for w in wanted]
    while sum(counts) != total:
        step = 1 if sum(counts) < total else -1
        open_to = [i for i, c in enumerate(counts) if step > 0 or c > 1]
        counts[max(open_to, key=lambda i: step * (wanted[i] - counts[i]))] += step
    return counts


def span(counts, rank):
    """First and last of the samples of a rank, `begin..end`."""
    begin = sum(counts[:rank])
    return begin, begin + counts[rank]
