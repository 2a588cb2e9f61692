"""Batch normalisation where a batch is divided: over processes, or into micro-batches."""

import torch
from torch import nn


class _Synchronised(torch.autograd.Function):
    """Normalises by mean and variance over all processes. The affine part runs in torch's own kernels as with fixed statistics; what
    the gradient takes through the statistics is added after it."""

    @staticmethod
    def forward(ctx, x, weight, bias, norm):
        # torch's own kernel for the statistics of this part: a momentum of one leaves nothing else.
        mean, var = torch.zeros_like(norm.running_mean), torch.zeros_like(norm.running_var)
        torch.native_batch_norm(x, weight, bias, mean, var, True, 1.0, norm.eps)
        count = x.numel() // x.shape[1]
        mean, var = mean.double(), var.double() * (count - 1) / count if count > 1 else torch.zeros_like(mean, dtype=torch.float64)
        # Those of all parts, from sums of the values and of their squares: differences of large numbers, hence in 64 bits.
        sums = norm.group.sum(torch.cat([mean * count, (var + mean * mean) * count, mean.new_tensor([count])]))
        n = sums[-1]
        mean, square = (sums[:-1] / n).chunk(2)
        var = (square - mean * mean).clamp_(min=0)
        norm.note(mean.float(), (var * n / (n - 1).clamp(min=1)).float(), len(x))
        mean, var = mean.float(), var.float()
        out, *_ = torch.native_batch_norm(x, weight, bias, mean, var, False, 0.0, norm.eps)
        ctx.save_for_backward(x, weight, mean, var)
        ctx.norm, ctx.n = norm, float(n)
        return out

    @staticmethod
    def backward(ctx, grad):
        x, weight, mean, var = ctx.saved_tensors
        c = len(mean)
        empty = mean.new_empty(0)
        dx, dw, db = torch.ops.aten.native_batch_norm_backward(
            grad, x, weight, mean, var, empty, empty, False, ctx.norm.eps, [True, True, True]
        )
        sums = ctx.norm.group.sum(torch.cat([dw.float(), db.float()]).double()) / ctx.n
        a, b = sums[:c].float(), sums[c:].float()
        inverse = torch.rsqrt(var + ctx.norm.eps)
        # dx = w/σ · (g − mean(g) − x̂ · mean(g·x̂)), of which the first part is there.
        slope = weight * inverse * inverse * a
        offset = weight * inverse * b - slope * mean
        slope, offset = (v.to(x.dtype).view(1, -1, 1, 1) for v in (slope, offset))
        return dx.sub_(torch.addcmul(offset, x, slope)), dw, db, None


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation that counts its running statistics once a step, over all micro-batches and processes.

    With `synchronised`, a micro-batch is normalised by its statistics over all processes; else each process takes those of its part."""

    def __init__(self, norm, group, synchronised):
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var, self.num_batches_tracked = norm.running_mean, norm.running_var, norm.num_batches_tracked
        self.group, self.synchronised = group, synchronised and group.size > 1
        self.pending = None

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        if self.synchronised:
            return _Synchronised.apply(x, self.weight, self.bias, self)
        mean, var = torch.zeros_like(self.running_mean), torch.zeros_like(self.running_var)
        # A momentum of one leaves the statistics of this batch.
        out = nn.functional.batch_norm(x, mean, var, self.weight, self.bias, True, 1.0, self.eps)
        self.note(mean, var, len(x))
        return out

    def note(self, mean, var, samples):
        """Adds the statistics of a micro-batch to those of the step."""
        found = torch.cat([mean, var]).detach() * samples
        self.pending = found if self.pending is None else self.pending + found

    def take(self):
        """Sums of mean and variance since the last call, each weighted by its samples: `[2 · channels]`."""
        found, self.pending = self.pending, None
        return found

    def settle(self, statistics):
        """Moves the running statistics towards those of a step, `[2 · channels]`."""
        mean, var = statistics.chunk(2)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(var, self.momentum)
        self.num_batches_tracked += 1


def share(net, group, synchronised):
    """Puts a `SharedBatchNorm` in the place of every batch normalisation, and returns them."""
    found = []
    for module in list(net.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                found.append(SharedBatchNorm(child, group, synchronised))
                setattr(module, name, found[-1].train(child.training))
    return found
