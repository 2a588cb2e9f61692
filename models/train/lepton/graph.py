"""A float ONNX model as a network that can be trained: what `leptond prune` leaves behind, or a recipe's own float form. Its weights are
the file's, and go back into the file."""

import onnx
import torch
from onnx import numpy_helper
from torch import nn

F = nn.functional


def attributes(node):
    """Attributes of a node by name."""
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def _square(pads, node):
    """Padding of an image's two axes where both ends are alike."""
    pads = list(pads or [0, 0, 0, 0])
    if len(pads) != 4 or pads[:2] != pads[2:]:
        raise ValueError(f"{node.op_type} {node.name}: padding {pads} is not the same at both ends")
    return pads[:2]


def _conv(node, at, x, weight, bias=None):
    return F.conv2d(x, weight, bias, at.get("strides", 1), _square(at.get("pads"), node), at.get("dilations", 1), at.get("group", 1))


def _gemm(node, at, a, b, c=None):
    a, b = (a.T if at.get("transA") else a), (b.T if at.get("transB") else b)
    out = a @ b * at.get("alpha", 1.0)
    return out if c is None else out + c * at.get("beta", 1.0)


def _reshape(node, at, x, shape):
    # A constant batch of one stands for whatever batch is given.
    wanted = [int(s) for s in shape]
    kept = [x.shape[i] if s == 0 else s for i, s in enumerate(wanted)]
    return x.reshape(kept)


def _mean(node, at, x, axes=None):
    axes = at.get("axes") if axes is None else [int(a) for a in axes]
    return x.mean(axes, keepdim=bool(at.get("keepdims", 1)))


def _clip(node, at, x, low=None, high=None):
    bound = lambda value, key: at.get(key) if value is None else float(value)
    return x.clamp(bound(low, "min"), bound(high, "max"))


def _pool(function):
    def pooled(node, at, x):
        return function(x, at["kernel_shape"], at.get("strides", 1), _square(at.get("pads"), node), ceil_mode=bool(at.get("ceil_mode", 0)))
    return pooled


OPERATORS = {
    "Conv": _conv, "Gemm": _gemm, "Reshape": _reshape, "ReduceMean": _mean, "Clip": _clip,
    "MatMul": lambda node, at, a, b: a @ b,
    "Add": lambda node, at, a, b: a + b,
    "Sub": lambda node, at, a, b: a - b,
    "Mul": lambda node, at, a, b: a * b,
    "Div": lambda node, at, a, b: a / b,
    "Relu": lambda node, at, x: F.relu(x),
    "Sigmoid": lambda node, at, x: torch.sigmoid(x),
    "HardSwish": lambda node, at, x: F.hardswish(x),
    "HardSigmoid": lambda node, at, x: (x * at.get("alpha", 0.2) + at.get("beta", 0.5)).clamp(0, 1),
    "Identity": lambda node, at, x: x,
    "Flatten": lambda node, at, x: x.flatten(at.get("axis", 1)),
    "GlobalAveragePool": lambda node, at, x: x.mean((2, 3), keepdim=True),
    "MaxPool": _pool(F.max_pool2d),
    "AveragePool": _pool(F.avg_pool2d),
    "Concat": lambda node, at, *parts: torch.cat(parts, at["axis"]),
}
PADDED = ("Conv", "MaxPool", "AveragePool")
# Whose second input, and the third, are trained.
WEIGHTED = ("Conv", "Gemm", "MatMul")


class GraphNet(nn.Module):
    """`[N, …]`, the graph's input, to its outputs: a tensor, or a tuple of several.

    Raises ValueError that names a node which it cannot compute."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        graph = model.graph
        constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                constants[node.output[0]] = numpy_helper.to_array(attributes(node)["value"])
        self.nodes = [node for node in graph.node if node.op_type != "Constant"]
        for node in self.nodes:
            if node.op_type not in OPERATORS:
                raise ValueError(f"{node.op_type} {node.name}: this operator cannot be trained here")
            at = attributes(node)
            _square(at.get("pads") if node.op_type in PADDED else None, node)
            if at.get("auto_pad", b"NOTSET") not in (b"NOTSET", b""):
                raise ValueError(f"{node.op_type} {node.name}: auto_pad is not supported")
        inputs = [i.name for i in graph.input if i.name not in constants]
        if len(inputs) != 1:
            raise ValueError(f"the model has {len(inputs)} inputs, not one")
        self.input, self.outputs = inputs[0], [o.name for o in graph.output]
        trained = {name for node in self.nodes if node.op_type in WEIGHTED for name in node.input[1:] if name in constants}
        self.names = sorted(trained)
        self.weights = nn.ParameterList([nn.Parameter(torch.from_numpy(constants[name].copy())) for name in self.names])
        self.fixed = {}
        for name, value in constants.items():
            if name not in trained:
                # Shapes and axes are read as numbers, the rest as tensors.
                tensor = torch.from_numpy(value.copy())
                self.fixed[name] = tensor if tensor.is_floating_point() else tensor.flatten().tolist()
        self.seen = lambda name, value: value
        self.weighed = lambda node, name, value: value

    def forward(self, x):
        values = dict(zip(self.names, self.weights))
        values |= self.fixed
        values[self.input] = self.seen(self.input, x)
        for node in self.nodes:
            given = [values[name] if name else None for name in node.input]
            if node.op_type in WEIGHTED and node.input[1] in self.names:
                given[1] = self.weighed(node, node.input[1], given[1])
            name = node.output[0]
            values[name] = self.seen(name, OPERATORS[node.op_type](node, attributes(node), *given))
        found = tuple(values[name] for name in self.outputs)
        return found[0] if len(found) == 1 else found

    def written(self):
        """The ONNX model with the weights as they are now."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        values = dict(zip(self.names, self.weights))
        for tensor in model.graph.initializer:
            if tensor.name in values:
                tensor.CopyFrom(numpy_helper.from_array(values[tensor.name].detach().contiguous().numpy(), tensor.name))
        return model
