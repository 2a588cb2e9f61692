"""The networks. Each takes `[N, C, H, W]` normalised reals and gives `[N, classes]` logits; N is free, and H and W too
where the network ends in a global average."""

import torch
from torch import nn

from .chance import Dropout


def _conv(cin, cout, kernel=3, stride=1, groups=1):
    return nn.Sequential(
        nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(),
    )


def _separable(cin, cout, stride):
    return nn.Sequential(_conv(cin, cin, 3, stride, groups=cin), _conv(cin, cout, 1))


class _Pooled(nn.Module):
    """Layers that make `width` channels, a global average and one linear layer."""

    def __init__(self, features, width, classes, dropout=None):
        super().__init__()
        self.features = features
        self.pool = nn.AdaptiveAvgPool2d(1)
        drop = [] if dropout is None else [Dropout(dropout)]
        self.head = nn.Sequential(nn.Flatten(), *drop, nn.Linear(width, classes))

    def forward(self, x):
        return self.head(self.pool(self.features(x)))


class LeptonNet(_Pooled):
    """Depthwise-separable network: one dense 3x3 stem, then blocks of `(channels, stride)`, a global average and one
    linear layer."""

    def __init__(self, channels, classes, stem, stem_stride, blocks, dropout=0.0):
        layers = [_conv(channels, stem, 3, stem_stride)]
        width = stem
        for cout, stride in blocks:
            layers.append(_separable(width, cout, stride))
            width = cout
        super().__init__(nn.Sequential(*layers), width, classes, dropout)


class PlainNet(_Pooled):
    """LeptonNet with dense 3x3 convolutions: on a CPU a dense layer trains several times faster per multiplication than a
    depthwise one, and after quantisation it is the faster one to run, too."""

    def __init__(self, channels, classes, layers, dropout=0.0):
        body = []
        width = channels
        for cout, stride in layers:
            body.append(_conv(width, cout, 3, stride))
            width = cout
        super().__init__(nn.Sequential(*body), width, classes, dropout)


class Shortcut(nn.Module):
    """Layers whose input is added to what they give."""

    def __init__(self, body, bounded):
        super().__init__()
        self.body, self.bounded = body, bounded

    def forward(self, x):
        out = x + self.body(x)
        return torch.relu(out) if self.bounded else out


def residual(width, layers=1):
    """So many dense 3x3 layers with a shortcut around them; the sum of two or more has the ReLU of the last."""
    body = nn.Sequential(*[part for _ in range(layers) for part in _conv(width, width)])
    return Shortcut(body if layers == 1 else body[:-1], layers > 1)


class ResidualNet(_Pooled):
    """LeptonNet of dense convolutions with shortcuts: a stem of `(channels, kernel, stride)`, then `stages` of
    `(channels, stride, layers)`: a layer where channels or size change, then `layers` with one shortcut around them."""

    def __init__(self, channels, classes, stem, stages, dropout=0.0):
        width, kernel, stride = stem
        body = [_conv(channels, width, kernel, stride)]
        for cout, stride, layers in stages:
            if cout != width or stride != 1:
                body.append(_conv(width, cout, 3, stride))
            if layers:
                body.append(residual(cout, layers))
            width = cout
        super().__init__(nn.Sequential(*body), width, classes, dropout)


class _Block(nn.Module):
    """Two layers with a shortcut, which has a layer of its own where the size changes."""

    def __init__(self, cin, cout, stride):
        super().__init__()
        self.body = nn.Sequential(*_conv(cin, cout, 3, stride), *_conv(cout, cout)[:-1])
        self.shortcut = nn.Sequential(nn.Conv2d(cin, cout, 1, stride)) if cin != cout or stride != 1 else nn.Identity()

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


class ResNet8(_Pooled):
    """The residual network of MLPerf Tiny: 16, 32 and 64 channels."""

    def __init__(self, channels, classes):
        super().__init__(nn.Sequential(_conv(channels, 16), _Block(16, 16, 1), _Block(16, 32, 2), _Block(32, 64, 2)), 64, classes)


class _Gate(nn.Module):
    """Channels weighed by what is in the whole picture."""

    def __init__(self, width):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.body = nn.Sequential(nn.Conv2d(width, width // 4, 1), nn.ReLU(), nn.Conv2d(width // 4, width, 1), nn.Hardsigmoid())

    def forward(self, x):
        return x * self.body(self.pool(x))


def _inverted(cin, cout, wide, kernel, stride, gate, hard):
    """A block of MobileNetV3: wider, depthwise, perhaps weighed, narrower, with a shortcut where the size stays."""
    act = nn.Hardswish if hard else nn.ReLU
    norm = lambda cin, cout, *how, **groups: [nn.Conv2d(cin, cout, *how, bias=False, **groups), nn.BatchNorm2d(cout)]
    body = nn.Sequential(
        *norm(cin, wide, 1), act(), *norm(wide, wide, kernel, stride, kernel // 2, groups=wide), act(),
        *([_Gate(wide)] if gate else []), *norm(wide, cout, 1),
    )
    return Shortcut(body, False) if cin == cout and stride == 1 else body


class MobileNet(_Pooled):
    """A small MobileNetV3: a stem of `stem` channels, blocks of `(channels, wide, kernel, stride, gate, hard)`, a last layer of `last`."""

    def __init__(self, channels, classes, stem, blocks, last):
        body = [nn.Sequential(nn.Conv2d(channels, stem, 3, 2, 1, bias=False), nn.BatchNorm2d(stem), nn.Hardswish())]
        width = stem
        for cout, wide, kernel, stride, gate, hard in blocks:
            body.append(_inverted(width, cout, wide, kernel, stride, gate, hard))
            width = cout
        body.append(nn.Sequential(nn.Conv2d(width, last, 1, bias=False), nn.BatchNorm2d(last), nn.Hardswish()))
        super().__init__(nn.Sequential(*body), last, classes)


class TwoHeads(nn.Module):
    """The layers of another network before its linear one, and two of those: `[N, classes]` twice."""

    def __init__(self, net, classes):
        super().__init__()
        self.features, self.pool, self.head = net.features, net.pool, net.head
        self.place = nn.Sequential(nn.Flatten(), nn.Linear(net.head[-1].in_features, classes))

    def forward(self, x):
        x = self.pool(self.features(x))
        return self.head(x), self.place(x)


class PlaceNet(nn.Module):
    """Dense 3x3 convolutions as in PlainNet, and a linear layer over the last map as it lies: where something is in the picture counts.
    Runs at the one size it was made for."""

    def __init__(self, channels, classes, layers, cells, dropout=0.0):
        super().__init__()
        body = []
        width = channels
        for cout, stride in layers:
            body.append(_conv(width, cout, 3, stride))
            width = cout
        self.features = nn.Sequential(*body)
        self.head = nn.Sequential(nn.Flatten(), Dropout(dropout), nn.Linear(width * cells, classes))

    def forward(self, x):
        return self.head(self.features(x))


class ArticleNet(nn.Module):
    """The network of the LeptonNet article, the baseline: 3x3 convolutions to 64 and 128 channels, each with ReLU and a
    2x2 maximum, a hidden layer of 1024, and the classes. Runs at the one size it was made for."""

    def __init__(self, channels, classes, height, width):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(128 * (height // 4) * (width // 4), 1024), nn.ReLU(),
            nn.Linear(1024, classes),
        )

    def forward(self, x):
        return self.head(self.features(x))


def parameters(net):
    """Number of trained values."""
    return sum(p.numel() for p in net.parameters())
