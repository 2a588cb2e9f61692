"""Logs of a run: a line an epoch on the terminal and in `curve.jsonl`, and the same with histograms and pictures for TensorBoard."""

import json
import math
import pathlib

import torch
from torch.utils.tensorboard import SummaryWriter

# Pictures in a grid, and the samples whose activations are counted.
SHOWN, PROBED = 64, 64


class Log:
    """The log of one run, kept by its first process. Goes on behind `step`: what a lost process wrote after it is taken back."""

    def __init__(self, folder, name, step=0):
        self.folder, self.name = pathlib.Path(folder), name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.curve = self.folder / "curve.jsonl"
        rows = self.rows() if step else []
        self.curve.write_text("".join(json.dumps(row) + "\n" for row in rows if row["step"] <= step), encoding="utf-8")
        self.board = SummaryWriter(str(self.folder), purge_step=step or None)

    def rows(self):
        """Lines of the curve; a last one that was cut off is left out."""
        if not self.curve.exists():
            return []
        found = []
        for line in self.curve.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return found

    def epoch(self, row, epochs, speeds, shares):
        """One epoch: `row` has step, epoch, loss, train, held_out, rate and seconds."""
        with open(self.curve, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        scalars = {"loss/train": "loss", "accuracy/train": "train", "accuracy/held_out": "held_out", "learning_rate": "rate"}
        for title, key in scalars.items():
            if row[key] is not None:
                self.board.add_scalar(title, row[key], row["step"])
        for rank, (speed, count) in enumerate(zip(speeds, shares)):
            self.board.add_scalar(f"samples_per_second/worker_{rank}", speed, row["step"])
            self.board.add_scalar(f"samples_of_a_batch/worker_{rank}", count, row["step"])
        told = [f"loss {row['loss']:.4f}"]
        told += [f"{title} {row[key]:.4f}" for key, title in (("train", "train"), ("held_out", "held out")) if row[key] is not None]
        work = f", {'+'.join(f'{s:.0f}' for s in speeds)} samples/s" if len(speeds) > 1 else ""
        print(f"{self.name} epoch {row['epoch']}/{epochs}: {', '.join(told)}, {row['seconds']:.0f} s{work}", flush=True)

    def step(self, step, loss):
        """The loss of one step."""
        self.board.add_scalar("loss/step", loss, step)

    def inputs(self, x, step):
        """Pictures as the network was given them, each stretched to its own range: `[N, C, H, W]` with one or three channels."""
        if x.dim() != 4 or x.shape[1] not in (1, 3):
            return
        x = x[:SHOWN].detach().float().contiguous()
        low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
        x = (x - low) / (high - low).clamp(min=1e-6)
        columns = math.isqrt(len(x))
        rows = len(x) // columns
        x = x[: rows * columns].unflatten(0, (rows, columns)).permute(2, 0, 3, 1, 4)
        self.board.add_image("inputs", x.flatten(3, 4).flatten(1, 2), step)

    def histograms(self, net, x, step):
        """Weights of every layer, and what each gives for some samples."""
        hooks, found = [], {}
        for name, module in net.named_modules():
            if list(module.children()) or not name:
                continue
            # A hook that gives something back would change what the layer gives.
            hooks.append(module.register_forward_hook(lambda _, __, out, name=name: found.update({name: out.detach().float().flatten()})))
        was = net.training
        net.eval()
        with torch.no_grad():
            net(x[:PROBED])
        net.train(was)
        for hook in hooks:
            hook.remove()
        for name, values in found.items():
            self.board.add_histogram(f"activations/{name}", values, step)
        for name, values in net.named_parameters():
            self.board.add_histogram(f"weights/{name}", values.detach().float(), step)

    def confusion(self, counts, step):
        """Which class was taken for which: counts `[right, answered]` as a picture, dark where there are many."""
        share = counts.float() / counts.sum(1, keepdim=True).clamp(min=1)
        cell = max(1, 320 // len(share))
        picture = (1 - share).repeat_interleave(cell, 0).repeat_interleave(cell, 1)
        self.board.add_image("confusion", picture[None], step)

    def close(self):
        """Writes what is still held back."""
        self.board.close()
