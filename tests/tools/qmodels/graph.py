"""A builder for small quantised ONNX graphs."""
import itertools
import zlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .pattern import KIND, pattern

ELEMENT = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8, "float": TensorProto.FLOAT}

SHORT = {"QuantizeLinear": "Q", "DequantizeLinear": "DQ"}


class Tensor:
    """A quantised tensor: `bytes` names its integers; `real()` a DequantizeLinear of them."""

    def __init__(self, graph, name, scale, zero, kind):
        self.graph, self.bytes, self.scale, self.zero, self.kind = graph, name, scale, zero, kind
        self._real = None

    def real(self, shared=True):
        """Name of the floats; `shared=False` gives this consumer a DequantizeLinear of its own."""
        if self._real is None or not shared:
            self._real = self.graph.dequantise(self.bytes, self.scale, self.zero, self.kind)
        return self._real

    def operands(self):
        """Bytes, scale, zero point: as QLinear operators take them."""
        return [self.bytes, self.graph.const(np.float32(self.scale)), self.graph.const(KIND[self.kind](self.zero))]


class Graph:
    """Nodes, constants, inputs and outputs of a model under construction. `frugal`: layers of one shape share their random weights."""

    def __init__(self, name, opset=17, frugal=False):
        self.name, self.opset, self.frugal, self.drawn = name, opset, frugal, {}
        self.nodes, self.constants, self.inputs, self.outputs, self.feeds = [], {}, [], [], {}
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))
        self.count = 0

    def fresh(self, stem):
        self.count += 1
        return f"{stem}{self.count}"

    def const(self, value, stem="c"):
        """An initializer; equal ones are kept once."""
        value = np.asarray(value)
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self.constants:
            self.constants[key] = (self.fresh(stem), value)
        return self.constants[key][0]

    def op(self, kind, inputs, outputs=1, domain="", **attributes):
        """Adds a node; the name of its output, or the list of them."""
        names = [self.fresh("t") for _ in range(outputs)]
        attributes = {k: v for k, v in attributes.items() if v is not None}
        self.nodes.append(helper.make_node(kind, inputs, names, name=f"{SHORT.get(kind, kind)}_{len(self.nodes)}", domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def input(self, kind, shape, declared=None):
        """A graph input, fed with a pattern. `declared`: the shape as the file says it, with names for open dimensions."""
        name = f"x{len(self.inputs)}"
        self.inputs.append(helper.make_tensor_value_info(name, ELEMENT[kind], declared or shape))
        self.feeds[name] = pattern(kind, shape, seed=len(self.inputs))
        return name

    # ---- quantisation ----

    def quantise(self, real, scale, zero=0, kind="int8"):
        name = self.op("QuantizeLinear", [real, self.const(np.float32(scale)), self.const(KIND[kind](zero))])
        return Tensor(self, name, scale, zero, kind)

    def dequantise(self, name, scale, zero=0, kind="int8", axis=None):
        scale, zero = np.asarray(scale, np.float32), np.asarray(zero, KIND[kind])
        return self.op("DequantizeLinear", [name, self.const(scale), self.const(zero)], axis=axis)

    def activation(self, shape, kind="int8", scale=0.031, zero=-3, source="float"):
        """A quantised graph input, given as floats or as bytes."""
        zero = zero + 128 if kind == "uint8" else zero
        if source == "float":
            return self.quantise(self.input("float", shape), scale, zero, kind)
        return Tensor(self, self.input(kind, shape), scale, zero, kind)

    def draw(self, low, high, shape, kind):
        """Random integers."""
        key = (low, high, shape, kind)
        if not self.frugal or key not in self.drawn:
            self.drawn[key] = self.rng.integers(low, high, shape).astype(kind)
        return self.drawn[key]

    def weights(self, shape, axis=None, kind="int8", zero=0, scale=0.01):
        """Integers, scales and zero points of random weights; one scale for each index of `axis` if given."""
        low, high = (-127, 128) if kind == "int8" else (0, 256)
        integers = self.draw(low, high, shape, KIND[kind])
        if axis is None:
            return integers, np.float32(scale), KIND[kind](zero)
        scales = (scale * self.draw(30, 150, shape[axis], np.float32) / 100).astype(np.float32)
        return integers, scales, np.full(shape[axis], zero, KIND[kind])

    def real_weights(self, shape, axis=None, **how):
        """Weights behind a DequantizeLinear: name of the floats, and the scales."""
        integers, scale, zero = self.weights(shape, axis, **how)
        name = self.op("DequantizeLinear", [self.const(integers, "w"), self.const(scale), self.const(zero)],
                       axis=None if axis is None else axis)
        return name, scale

    def bias(self, count, scale, how):
        """Biases of a layer whose sums have `scale`: `int32` (behind a DequantizeLinear), `float` or None."""
        if how is None:
            return []
        integers = self.draw(-3000, 3000, count, np.int32)
        scale = np.asarray(scale, np.float32)
        if how == "float":
            return [self.const((integers * scale).astype(np.float32) + np.float32(0.0003), "b")]
        zero = np.zeros(scale.shape, np.int32)
        name = self.op("DequantizeLinear", [self.const(integers, "b"), self.const(scale), self.const(zero)],
                       axis=0 if scale.shape else None)
        return [name]

    # ---- whole model ----

    def model(self, outputs, kinds=()):
        """The finished model; `outputs` are names, `kinds` their types where onnx cannot infer them."""
        domains = {n.domain for n in self.nodes}
        imports = [helper.make_opsetid("", self.opset)]
        if "com.microsoft" in domains:
            imports.append(helper.make_opsetid("com.microsoft", 1))
        initializers = [numpy_helper.from_array(value, name) for name, value in self.constants.values()]
        bare = [helper.make_empty_tensor_value_info(n) for n in outputs]
        graph = helper.make_graph(self.nodes, self.name, self.inputs, bare, initializers)
        model = helper.make_model(graph, opset_imports=imports, ir_version=8, producer_name="make_qmodels")
        # Types of the outputs, which the file has to name.
        inferred = onnx.shape_inference.infer_shapes(model)
        known = {v.name: v for v in list(inferred.graph.value_info) + list(inferred.graph.output)}
        del model.graph.output[:]
        for name, kind in itertools.zip_longest(outputs, kinds):
            info = known.get(name)
            if info is None or not info.type.tensor_type.elem_type:
                info = helper.make_tensor_value_info(name, ELEMENT[kind], None)
            model.graph.output.append(info)
        return model
