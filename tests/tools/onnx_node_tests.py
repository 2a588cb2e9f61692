#!/usr/bin/env python3
"""Writes the node tests of the `onnx` package as files: onnx_node_tests.py DIRECTORY.

Each test becomes a directory with `model.onnx`, its inputs `in0.npy` … and expected outputs `out0.npy` …, and `tolerance`
(relative, absolute). Left out are tests that need types or operators which leptond does not have on purpose: text, sequences,
optional values, bfloat16, float8, float4, four- and two-bit integers, complex numbers, training, decoding of pictures, and
random numbers, which no test compares.
"""

import os
import sys
import warnings

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

LEFT_OUT = {"STRING", "BFLOAT16", "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "FLOAT8E8M0",
            "FLOAT4E2M1", "INT4", "UINT4", "INT2", "UINT2", "COMPLEX64", "COMPLEX128"}
# On optional values, pictures in files, and random numbers.
LEFT_OUT_OPERATORS = {"Bernoulli", "ImageDecoder", "OptionalGetElement", "OptionalHasElement",
                      "RandomUniformLike"}
LEFT_OUT_NUMBERS = {TensorProto.DataType.Value(name) for name in LEFT_OUT if name in TensorProto.DataType.keys()}


def applies(graph):
    """Test for a graph without types that are left out."""
    for info in [*graph.input, *graph.output, *graph.value_info]:
        if info.type.WhichOneof("value") != "tensor_type" or info.type.tensor_type.elem_type in LEFT_OUT_NUMBERS:
            return False
    for node in graph.node:
        if "training" in node.domain or node.op_type in LEFT_OUT_OPERATORS:
            return False
        for attribute in node.attribute:
            if attribute.name in ("to", "dtype", "output_dtype") and attribute.i in LEFT_OUT_NUMBERS:
                return False
            if attribute.t.data_type in LEFT_OUT_NUMBERS or (attribute.HasField("g") and not applies(attribute.g)):
                return False
            if attribute.HasField("tp") and attribute.tp.WhichOneof("value") != "tensor_type":
                return False
    return True


def arrays(values):
    """Values of a test as arrays."""
    return [numpy_helper.to_array(v) if isinstance(v, TensorProto) else np.asarray(v) for v in values]


def main(directory):
    warnings.simplefilter("ignore")
    for test in collect_testcases(""):
        if test.model is None or not applies(test.model.graph):
            continue
        inputs, outputs = map(arrays, test.data_sets[0])
        plain = all(array.dtype.kind in "biuf" and array.dtype.isbuiltin for array in [*inputs, *outputs])
        if not plain or test.name.startswith("test_training_dropout"):
            continue
        path = os.path.join(directory, test.name)
        os.makedirs(path)
        onnx.save(test.model, os.path.join(path, "model.onnx"))
        for name, values in (("in", inputs), ("out", outputs)):
            for index, array in enumerate(values):
                np.save(os.path.join(path, f"{name}{index}.npy"), array)
        with open(os.path.join(path, "tolerance"), "w") as file:
            file.write(f"{test.rtol} {test.atol}\n")


if __name__ == "__main__":
    main(sys.argv[1])
