"""Optimisers, schedules of the learning rate, and the moving average of weights."""

import copy

import torch


def _orthogonal(g, steps=4):
    """A matrix with about the singular vectors of `g` and singular values near one, by Newton-Schulz iteration."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g / (g.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    for _ in range(steps):
        y = x @ x.T
        x = a * x + (b * y + c * y @ y) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose step is made orthogonal for each convolution (Jordan: Muon, 2024), and AdamW for everything else.

    `rate` is AdamW's; convolutions take `FACTOR` times of it. torch's own Muon takes matrices alone."""

    FACTOR = 5.0

    def __init__(self, parameters, lr, weight_decay, momentum=0.9, betas=(0.9, 0.999), eps=1e-8):
        parameters = list(parameters)
        kernels = [p for p in parameters if p.dim() == 4]
        rest = [p for p in parameters if p.dim() != 4]
        settings = {"weight_decay": weight_decay, "momentum": momentum, "betas": betas, "eps": eps}
        groups = [{"params": kernels, "kernels": True}, {"params": rest, "kernels": False}]
        super().__init__([g for g in groups if g["params"]], {"lr": lr, **settings})

    @torch.no_grad()
    def step(self, closure=None):
        """One step by the gradients that are there."""
        loss = closure() if closure else None
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    (self._kernel if group["kernels"] else self._adam)(group, p, self.state[p])
        return loss

    def _kernel(self, group, p, state):
        if not state:
            state["momentum"] = torch.zeros_like(p)
        m = state["momentum"].mul_(group["momentum"]).add_(p.grad)
        flat = (p.grad + group["momentum"] * m).flatten(1)
        update = _orthogonal(flat).view_as(p)
        rate = group["lr"] * self.FACTOR
        p.mul_(1 - rate * group["weight_decay"]).add_(update, alpha=-rate * max(1.0, flat.shape[0] / flat.shape[1]) ** 0.5)

    def _adam(self, group, p, state):
        if not state:
            state.update(step=0, mean=torch.zeros_like(p), square=torch.zeros_like(p))
        state["step"] += 1
        first, second = group["betas"]
        state["mean"].lerp_(p.grad, 1 - first)
        state["square"].mul_(second).addcmul_(p.grad, p.grad, value=1 - second)
        size = group["lr"] / (1 - first ** state["step"])
        root = (state["square"] / (1 - second ** state["step"])).sqrt_().add_(group["eps"])
        p.mul_(1 - group["lr"] * group["weight_decay"]).addcdiv_(state["mean"], root, value=-size)


OPTIMISERS = {
    "adamw": lambda net, rate, decay: torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=decay),
    "adam": lambda net, rate, decay: torch.optim.Adam(net.parameters(), lr=rate),
    "sgd": lambda net, rate, decay: torch.optim.SGD(net.parameters(), lr=rate, weight_decay=decay, momentum=0.9, nesterov=True),
    "muon": lambda net, rate, decay: Muon(net.parameters(), rate, decay),
}


def optimiser(name, net, rate, decay):
    """One of `OPTIMISERS`. `adam` takes no decay, as in the article."""
    return OPTIMISERS[name](net, rate, decay)


def schedule(name, optimiser, epochs, steps, warm_up):
    """The course of the rate over epochs of so many steps; None where it is constant.

    `one-cycle` goes up over `warm_up` of all steps. `trapezoid` goes up in the first epoch, stays, and goes down to nothing over the last
    45 %: until then it is the same whatever the number of epochs."""
    rate, total = optimiser.param_groups[0]["lr"], epochs * steps
    if name == "one-cycle":
        cycled = isinstance(optimiser, torch.optim.Adam)
        return torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=total, pct_start=warm_up, cycle_momentum=cycled)
    if name == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, total)
    if name == "trapezoid":
        down = max(1, round(total * 0.45))
        factor = lambda step: min((step + 1) / steps, 1.0, max(0.0, (total - step) / down))
        return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
    if name == "constant":
        return None
    raise ValueError(f"no schedule {name!r}: one-cycle, cosine, trapezoid or constant")


class Average:
    """The moving average of a network's weights and running statistics."""

    def __init__(self, net, decay):
        self.decay, self.count = decay, 0
        self.values = {key: value.detach().clone() for key, value in net.state_dict().items()}

    @torch.no_grad()
    def update(self, net):
        """Takes in the weights after a step. The first steps count for more, since the average would remember the start for long."""
        self.count += 1
        decay = min(self.decay, self.count / (self.count + 10))
        for key, value in net.state_dict().items():
            if value.is_floating_point():
                self.values[key].lerp_(value, 1 - decay)
            else:
                self.values[key].copy_(value)

    def net(self, net):
        """A copy of the network with the average."""
        found = copy.deepcopy(net)
        found.load_state_dict(self.values)
        return found

    def give(self, net):
        """Puts the average into the network."""
        net.load_state_dict(self.values)

    def state_dict(self):
        return {"count": self.count, "values": self.values}

    def load_state_dict(self, state):
        self.count, self.values = state["count"], state["values"]
