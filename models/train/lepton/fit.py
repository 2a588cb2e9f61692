"""Helpers of the recipes around the loop: pixels as a network takes them, and its accuracy."""

import pathlib

import torch

from .chance import seed_everything

__all__ = ["RUNS", "confusion", "evaluate", "normalise", "seed_everything"]

RUNS = pathlib.Path(__file__).resolve().parents[1] / "runs"


def normalise(pixels, mean, std):
    """uint8 `[N, C, H, W]` to reals, `(p / 255 - mean) / std` per channel, as leptond does it."""
    mean = torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1)
    std = torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1)
    return (pixels.float() / 255.0 - mean) / std


def answered(net, pixels, mean, std, batch=1000):
    """Classes of the float network, arg-max of its first output, int64 `[N]`."""
    net.eval()
    found = []
    with torch.inference_mode():
        for i in range(0, len(pixels), batch):
            x = normalise(pixels[i : i + batch], mean, std).contiguous(memory_format=torch.channels_last)
            out = net(x)
            found.append((out[0] if isinstance(out, tuple) else out).argmax(1))
    return torch.cat(found)


def evaluate(net, pixels, labels, mean, std):
    """Top-1 accuracy of the float network."""
    return (answered(net, pixels, mean, std) == labels).sum().item() / len(pixels)


def confusion(net, pixels, labels, mean, std, classes):
    """Counts `[right, answered]` of the float network."""
    pairs = labels * classes + answered(net, pixels, mean, std)
    return torch.bincount(pairs, minlength=classes * classes).view(classes, classes)
