"""Training that knows of what comes after it: networks that are quantised while they train, and pruned ones that recover.

Weights are rounded to signed bytes with a scale for each output, activations to signed bytes with one scale and zero point for each
tensor; gradients go through the roundings as if these were not there. The scales of activations are trained, too."""

import numpy
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from . import graph

LOW, HIGH = -128, 127
# Operators that only bound or move what is before them: one tensor for both.
BOUNDS = ("Relu", "Clip")
SAME = ("Flatten", "Reshape", "Identity", "MaxPool")


def _rounded(x):
    """Rounded forward, as it was backward."""
    return x + (x.round() - x).detach()


class Rounding(nn.Module):
    """An activation in bytes and back. Its range is that of what it saw while `watching`, and then its scale is trained."""

    def __init__(self):
        super().__init__()
        self.register_buffer("range", torch.zeros(2))
        self.register_buffer("zero", torch.zeros(()))
        self.scale = nn.Parameter(torch.ones(()))
        self.watching = True

    def forward(self, x):
        if self.watching:
            # Zero stays exact: padding and bounds need it.
            self.range = torch.stack([torch.minimum(self.range[0], x.min()), torch.maximum(self.range[1], x.max())]).detach()
            return x
        scale = self.scale.abs().clamp(min=1e-8)
        return ((_rounded(x / scale) + self.zero).clamp(LOW, HIGH) - self.zero) * scale

    def settle(self):
        """Ends the watching."""
        low, high = self.range.tolist()
        scale = max((high - low) / (HIGH - LOW), 1e-8)
        self.scale.data.fill_(scale)
        self.zero.fill_(float(min(max(round(LOW - low / scale), LOW), HIGH)))
        self.watching = False


class Quantised(nn.Module):
    """A `GraphNet` that computes as its quantised form will. Begins by watching: see `watch`."""

    def __init__(self, net):
        super().__init__()
        self.net = net
        self.tensors = quantised_tensors(net)
        self.roundings = nn.ModuleList([Rounding() for _ in self.tensors])
        by_name = dict(zip(self.tensors, self.roundings))
        net.seen = lambda name, value: by_name[name](value) if name in by_name else value
        net.weighed = lambda node, name, value: self.weight(node, value)

    def weight(self, node, value):
        """A weight as its bytes stand for it."""
        scale = scales(value.detach(), axis(node)).clamp(min=1e-8)
        return _rounded(value / scale).clamp(-HIGH, HIGH) * scale

    def watch(self, batches):
        """Ranges of activations over some batches, none of which is measured on."""
        with torch.no_grad():
            for x in batches:
                self.net(x)
        for rounding in self.roundings:
            rounding.settle()

    def forward(self, x):
        return self.net(x)

    def written(self):
        """The ONNX model in QDQ form, with the scales that were trained."""
        return _qdq(self.net.written(), dict(zip(self.tensors, self.roundings)))


class Taught(nn.Module):
    """A network beside its teacher: while it trains it gives the outputs of both, and else its own."""

    def __init__(self, net, teacher):
        super().__init__()
        self.net = net
        # Not a part of this module: the teacher is neither trained nor saved.
        self.teacher = [teacher.eval().requires_grad_(False)]

    def forward(self, x):
        if not self.training:
            return self.net(x)
        with torch.no_grad():
            wanted = self.teacher[0](x)
        return self.net(x), wanted

    def written(self):
        """The ONNX model of the network."""
        return self.net.written()


def taught(outputs, answers, warmth=2.0, share=0.7):
    """Loss of a `Taught` network: cross-entropy with the answers, and by `share` with what the teacher gives, both softened by `warmth`."""
    own, wanted = outputs
    soft = nn.functional.kl_div(
        (own / warmth).log_softmax(1), (wanted / warmth).log_softmax(1), reduction="batchmean", log_target=True
    )
    return (1 - share) * nn.functional.cross_entropy(own, answers) + share * warmth**2 * soft


def axis(node):
    """The axis of a weight's outputs."""
    return 1 if node.op_type == "MatMul" or node.op_type == "Gemm" and not graph.attributes(node).get("transB") else 0


def scales(weight, way):
    """A scale for each output, in the weight's number of axes."""
    others = [i for i in range(weight.dim()) if i != way]
    return weight.abs().amax(others, keepdim=True) / HIGH


def quantised_tensors(net):
    """Names of the activations that are bytes: the input, and what every node gives, but for sums that are bounded at once and for
    values that are only seen in another shape."""
    users = {}
    for node in net.nodes:
        for name in node.input:
            users.setdefault(name, []).append(node)
    found = [net.input]
    for node in net.nodes:
        name = node.output[0]
        after = users.get(name, [])
        if node.op_type in SAME or len(after) == 1 and after[0].op_type in BOUNDS and name not in net.outputs:
            continue
        found.append(name)
    return found


def _qdq(model, roundings):
    """Puts QuantizeLinear and DequantizeLinear behind every rounded tensor, and bytes in the place of weights."""
    g = model.graph
    constants = {t.name: numpy_helper.to_array(t) for t in g.initializer}
    tensors, renamed, nodes = [], {}, []
    outputs = {o.name for o in g.output}

    def constant(name, array):
        tensors.append(numpy_helper.from_array(numpy.asarray(array), name))
        return name

    def rounded(name, rounding):
        scale = numpy.float32(rounding.scale.detach().abs().clamp(min=1e-8).item())
        given = [constant(f"{name}.scale", scale), constant(f"{name}.zero", numpy.int8(rounding.zero.item()))]
        source, target = name, f"{name}.rounded"
        if name in outputs:
            source, target = f"{name}.exact", name
        nodes.append(helper.make_node("QuantizeLinear", [source, *given], [f"{name}.bytes"], name=f"{name}.quantize"))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}.bytes", *given], [target], name=f"{name}.dequantize"))
        renamed[name] = target
        return scale

    known = dict(roundings)
    scale_of = {g.input[0].name: rounded(g.input[0].name, known[g.input[0].name])}
    for node in list(g.node):
        if node.op_type == "Constant":
            nodes.append(node)
            continue
        # Values in another shape are the same bytes.
        if node.op_type in SAME and node.input[0] in known:
            known[node.output[0]] = known[node.input[0]]
        exact = list(node.input)
        node.input[:] = [renamed.get(name, name) for name in node.input]
        if node.op_type in graph.WEIGHTED and exact[1] in constants:
            _bytes_of_weights(node, exact, constants, scale_of, constant, nodes)
        name = node.output[0]
        nodes.append(node)
        if name in known:
            if name in outputs:
                node.output[0] = f"{name}.exact"
            scale_of[name] = rounded(name, known[name])
    del g.node[:], g.value_info[:]
    g.node.extend(nodes)
    used = {name for node in g.node for name in node.input}
    kept = [t for t in g.initializer if t.name in used]
    del g.initializer[:]
    g.initializer.extend(kept + tensors)
    onnx.checker.check_model(model)
    return model


def _bytes_of_weights(node, exact, constants, scale_of, constant, nodes):
    """Weight and bias of a node as integers with their scales."""
    weight, way = constants[exact[1]], axis(node)
    wide = scales(torch.from_numpy(weight.copy()), way).clamp(min=1e-8).numpy()
    scale = wide.reshape(-1).astype(numpy.float32)
    name = exact[1]
    given = [
        constant(f"{name}.bytes", numpy.rint(weight / wide).clip(-HIGH, HIGH).astype(numpy.int8)),
        constant(f"{name}.scale", scale), constant(f"{name}.zero", numpy.zeros(len(scale), numpy.int8)),
    ]
    nodes.append(helper.make_node("DequantizeLinear", given, [f"{name}.rounded"], name=f"{name}.dequantize", axis=way))
    node.input[1] = f"{name}.rounded"
    if len(exact) > 2 and exact[2] in constants and exact[0] in scale_of:
        bias, steps = constants[exact[2]], scale * scale_of[exact[0]]
        name = exact[2]
        given = [
            constant(f"{name}.integers", numpy.rint(bias / steps).clip(-(2**31), 2**31 - 1).astype(numpy.int32)),
            constant(f"{name}.scale", steps.astype(numpy.float32)), constant(f"{name}.zero", numpy.zeros(len(steps), numpy.int32)),
        ]
        nodes.append(helper.make_node("DequantizeLinear", given, [f"{name}.rounded"], name=f"{name}.dequantize", axis=0))
        node.input[2] = f"{name}.rounded"


def load(path):
    """A float ONNX file as a network. Raises ValueError that names what is in its way, a quantised file among that."""
    model = onnx.load(str(path))
    kinds = {node.op_type for node in model.graph.node}
    if kinds & {"QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger"}:
        raise ValueError(f"{path} is quantised: give its float form")
    if any(t.data_type == TensorProto.FLOAT16 for t in model.graph.initializer):
        raise ValueError(f"{path} has half-precision weights: give its float32 form")
    try:
        return graph.GraphNet(model)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
