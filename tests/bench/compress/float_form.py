#!/usr/bin/env python3
"""Makes the float form of a model in QDQ form: weights as the floats that their integers stand for, activations unrounded.

    float_form.py IN.onnx OUT.onnx     [needs onnx]

A range that begins at zero behind a Conv, Gemm or Add stood for a Relu: it is put back.
"""
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

BOUNDED = ("Conv", "Gemm", "Add", "MatMul")


def real(array, scale, zero, axis):
    """The floats that integers stand for."""
    if np.size(scale) > 1:
        shape = [1] * array.ndim
        shape[axis] = -1
        scale, zero = np.reshape(scale, shape), np.reshape(zero, shape)
    return ((array.astype(np.float32) - zero) * scale).astype(np.float32)


def main(source, target):
    """Writes the float form."""
    model = onnx.load(source)
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    renamed, nodes, bounded = {}, [], set()
    for node in graph.node:
        zero = np.float32(constants[node.input[2]]) if node.op_type.endswith("eLinear") and len(node.input) > 2 else np.float32(0)
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
            constants[node.output[0]] = real(constants[node.input[0]], constants[node.input[1]], zero, axis)
        elif node.op_type == "QuantizeLinear":
            renamed[node.output[0]] = node.input[0]
            lowest = np.iinfo(constants[node.input[2]].dtype).min if len(node.input) > 2 else 0
            maker = makers.get(node.input[0])
            if maker is not None and maker.op_type in BOUNDED and np.all(zero == lowest):
                bounded.add(node.input[0])
        elif node.op_type == "DequantizeLinear":
            renamed[node.output[0]] = node.input[0]
        else:
            nodes.append(node)

    def first(name):
        while name in renamed:
            name = renamed[name]
        return f"{name}.bounded" if name in bounded else name

    made = []
    for node in nodes:
        node.input[:] = [first(name) for name in node.input]
        made.append(node)
        made += [helper.make_node("Relu", [name], [f"{name}.bounded"], name=f"{name}.relu") for name in node.output if name in bounded]
    for output in graph.output:
        if first(output.name) != output.name:
            made.append(helper.make_node("Identity", [first(output.name)], [output.name], name=f"{output.name}.given"))
    del graph.node[:], graph.value_info[:], graph.initializer[:]
    graph.node.extend(made)
    used = {name for node in made for name in node.input}
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items() if name in used)
    onnx.checker.check_model(model)
    onnx.save(model, target)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
