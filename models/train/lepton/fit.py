"""The training loop: Adam, cross-entropy, one-cycle learning rate, TensorBoard."""

import pathlib
import random
import time

import numpy
import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter


def seed_everything(seed):
    """Fixes every source of chance. Equal seeds give equal weights on one machine and torch version."""
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)


def normalise(pixels, mean, std):
    """uint8 `[N, C, H, W]` to reals, `(p / 255 - mean) / std` per channel, as leptond does it."""
    mean = torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1)
    std = torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1)
    return (pixels.float() / 255.0 - mean) / std


def evaluate(net, pixels, labels, mean, std, batch=1000):
    """Top-1 accuracy of the float network, arg-max of its first output."""
    net.eval()
    right = 0
    with torch.inference_mode():
        for i in range(0, len(pixels), batch):
            x = normalise(pixels[i : i + batch], mean, std).contiguous(memory_format=torch.channels_last)
            out = net(x)
            right += ((out[0] if isinstance(out, tuple) else out).argmax(1) == labels[i : i + batch]).sum().item()
    return right / len(pixels)


def fit(net, name, train, held_out, mean, std, epochs, batch, rate, augment, smoothing=0.0, decay=1e-4, one_cycle=True, criterion=None,
        paired=False, measure=None):
    """Trains `net` in place and returns it.

    `train` and `held_out` are `(uint8 [N, C, H, W], int64 [N])`; the answers of `train` may also be soft, float32 `[N, classes]`.
    `augment` changes a batch of pixels and may change its size. The held-out curve is only logged: nothing is chosen by it, and the weights of the last epoch are kept.
    `paired`: `augment` is given the answers, too, and returns both. `criterion` of the network's outputs and the answers replaces
    cross-entropy, and `measure` of network and held-out data replaces the share of right answers.
    `one_cycle=False` keeps the rate constant and uses plain Adam without decay, as the article does.
    """
    pixels, labels = train
    log = SummaryWriter(f"{RUNS}/{name}")
    net = net.to(memory_format=torch.channels_last)
    steps = epochs * (len(pixels) // batch)
    if one_cycle:
        optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.25)
    else:
        optimiser = torch.optim.Adam(net.parameters(), lr=rate)
        schedule = None
    criterion = criterion or nn.CrossEntropyLoss(label_smoothing=smoothing)
    step = 0
    for epoch in range(epochs):
        net.train()
        began = time.monotonic()
        loss_sum, right, seen = 0.0, 0, 0
        order = torch.randperm(len(pixels))
        for i in range(0, len(pixels) - batch + 1, batch):
            pick = order[i : i + batch]
            x, y = augment(pixels[pick], labels[pick]) if paired else (augment(pixels[pick]), labels[pick])
            x = normalise(x, mean, std).contiguous(memory_format=torch.channels_last)
            out = net(x)
            loss = criterion(out, y)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            if schedule is not None:
                schedule.step()
            loss_sum += loss.item() * len(y)
            first = out[0] if isinstance(out, tuple) else out
            right += (first.argmax(1) == (y if y.dim() == 1 else y[:, : first.shape[1]].argmax(1))).sum().item()
            seen += len(y)
            step += 1
        accuracy = measure(net, *held_out) if measure else evaluate(net, *held_out, mean, std)
        seconds = time.monotonic() - began
        log.add_scalar("loss/train", loss_sum / seen, epoch)
        log.add_scalar("accuracy/train", right / seen, epoch)
        log.add_scalar("accuracy/held_out", accuracy, epoch)
        log.add_scalar("learning_rate", optimiser.param_groups[0]["lr"], epoch)
        print(
            f"{name} epoch {epoch + 1}/{epochs}: loss {loss_sum / seen:.4f}, train {right / seen:.4f}, "
            f"held out {accuracy:.4f}, {seconds:.0f} s",
            flush=True,
        )
    log.close()
    return net.eval()


RUNS = pathlib.Path(__file__).resolve().parents[1] / "runs"
