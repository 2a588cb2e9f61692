"""Float networks quantised by onnxruntime.quantization, in every format it writes."""
import logging
import pathlib
import tempfile

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from .graph import SHORT, Graph
from .pattern import pattern

SHAPE = (2, 3, 8, 8)

# Those among the fixtures.
FEW = ["static-qdq-int8-channel-int8", "static-qdq-uint8-tensor-uint8-asymmetric", "static-qoperator-uint8-channel-int8",
       "static-qoperator-int8-tensor-int8"]


class Samples(CalibrationDataReader):
    def __init__(self):
        self.rest = [{"x0": pattern("float", SHAPE, seed)} for seed in (1, 7, 8)]

    def get_next(self):
        return self.rest.pop() if self.rest else None


def network():
    """A float network with most operators that quantize_static knows."""
    g = Graph("network")
    def weights(*shape):
        return g.const((g.rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32))
    def conv(x, i, o, k, act="Relu", group=1, **more):
        real = g.op("Conv", [x, weights(o, i // group, k, k), weights(o)], group=group, **more)
        return g.op(act, [real]) if act else real
    x = g.input("float", SHAPE)
    x = conv(x, 3, 6, 3, pads=[1, 1, 1, 1])
    y = g.op("Add", [conv(conv(x, 6, 6, 3, group=6, pads=[1, 1, 1, 1]), 6, 6, 1, act=None), x])
    y = g.op("Clip", [conv(y, 6, 8, 3, strides=[2, 2], pads=[1, 1, 1, 1], act=None), g.const(np.float32(0)), g.const(np.float32(6))])
    y = g.op("Concat", [y, conv(y, 8, 4, 1, act="Sigmoid"), g.op("MaxPool", [y], kernel_shape=[3, 3], pads=[1, 1, 1, 1])], axis=1)
    y = conv(y, 20, 6, 1, act="LeakyRelu")
    gate = conv(conv(g.op("GlobalAveragePool", [y]), 6, 3, 1), 3, 6, 1, act="Sigmoid")
    y = g.op("Mul", [y, gate])
    y = g.op("Resize", [y, "", g.const(np.float32((1, 1, 2, 2)))], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    y = g.op("AveragePool", [y], kernel_shape=[2, 2], strides=[2, 2])
    y = g.op("Reshape", [y, g.const(np.int64((2, -1)))])
    y = g.op("Gemm", [y, weights(12, 96), weights(12)], transB=1)
    y = g.op("MatMul", [g.op("Relu", [y]), weights(12, 5)])
    return g.model([g.op("Softmax", [y])])


def models():
    """Name and model, in every combination."""
    logging.getLogger().setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as scratch:
        source, target = pathlib.Path(scratch) / "float.onnx", pathlib.Path(scratch) / "quantised.onnx"
        onnx.save(network(), source)
        for form in (QuantFormat.QDQ, QuantFormat.QOperator):
            for activations in (QuantType.QInt8, QuantType.QUInt8):
                for per_channel in (False, True):
                    for weights, symmetric in ((QuantType.QInt8, True), (QuantType.QInt8, False), (QuantType.QUInt8, False)):
                        # ONNX Runtime itself has no kernel for int8 activations with uint8 weights in QLinearConv.
                        if weights == QuantType.QUInt8 and (activations == QuantType.QInt8 or per_channel):
                            continue
                        quantize_static(source, target, Samples(), quant_format=form, activation_type=activations, weight_type=weights,
                                        per_channel=per_channel, extra_options={"WeightSymmetric": symmetric})
                        name = "-".join(["static", form.name.lower(), activations.name[1:].lower(), "channel" if per_channel else "tensor",
                                         weights.name[1:].lower() + ("" if symmetric else "-asymmetric")])
                        yield name, onnx.load(target)


def shorten(model):
    """Short names for everything but the inputs and outputs: half of such a small file are names."""
    graph = model.graph
    kept = {v.name for v in list(graph.input) + list(graph.output)} | {""}
    short = {}
    def rename(name):
        return name if name in kept else short.setdefault(name, f"s{len(short)}")
    for constant in graph.initializer:
        constant.name = rename(constant.name)
    for index, node in enumerate(graph.node):
        node.name = f"{SHORT.get(node.op_type, node.op_type)}_{index}"
        node.input[:] = [rename(n) for n in node.input]
        node.output[:] = [rename(n) for n in node.output]
    del graph.value_info[:]
    return model
