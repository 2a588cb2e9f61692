#!/usr/bin/env python3
"""Models of one TensorFlow Lite operator each, their inputs, and what LiteRT's reference kernels make of them.

    pip install ai-edge-litert numpy
    python3 tests/tools/tflite_operators.py /tmp/operators tests/data/tflite/operators.json

The folder takes NAME.tflite, NAME.K.npy and NAME.wantK.npy, to be looked into; the file takes all of it for the test
`every_operator_of_the_schema`. A model that keeps state is run on several inputs, one after the other.
"""
import json, pathlib, sys

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s
from ai_edge_litert.interpreter import Interpreter, OpResolverType

TYPES = {"f4": 0, "f2": 1, "i4": 2, "u1": 3, "i8": 4, "b1": 6, "i2": 7, "c8": 8, "i1": 9, "f8": 10, "u4": 15, "u2": 16}
RANDOM = np.random.default_rng(7)
CASES = {}


class T:
    """A tensor: `data` makes it a constant, `q` is its scale (or scales along `axis`) and zero point."""

    def __init__(self, kind, shape, data=None, q=None, axis=0, variable=False, signature=None, low=None, high=None):
        self.kind, self.shape, self.q, self.axis = kind, list(shape), q, axis
        self.data = None if data is None else np.asarray(data, dtype=kind).reshape(shape)
        self.variable, self.signature, self.low, self.high = variable, signature, low, high


def f(*shape, **more):
    return T("f4", shape, **more)


def q(*shape, scale=0.05, zero=3, **more):
    return T("i1", shape, q=(scale, zero), **more)


def const(values, kind="i4", **more):
    values = np.asarray(values, dtype=kind)
    return T(kind, values.shape, data=values, **more)


def noise(*shape, kind="f4", low=-1.0, high=1.0):
    values = RANDOM.uniform(low, high, shape)
    return values.astype(np.float32) if kind == "f4" else np.round(values).astype(kind)


class Graph:
    def __init__(self, name="main"):
        self.graph, self.name = s.SubGraphT(), name
        self.graph.tensors, self.graph.operators, self.graph.name = [], [], name
        self.graph.inputs, self.graph.outputs = [], []


class Model:
    def __init__(self):
        self.model = s.ModelT()
        self.model.version, self.model.operatorCodes, self.model.buffers = 3, [], [s.BufferT()]
        self.model.subgraphs, self.inputs, self.random = [], [], []

    def graph(self):
        graph = Graph(f"graph_{len(self.model.subgraphs)}")
        self.model.subgraphs.append(graph.graph)
        return graph

    def tensor(self, graph, t, name=None):
        tensor = s.TensorT()
        tensor.shape, tensor.type, tensor.isVariable = t.shape, TYPES.get(t.kind, 13), t.variable
        tensor.name, tensor.buffer = name or f"t{len(graph.graph.tensors)}", 0
        if t.signature:
            tensor.shapeSignature = t.signature
        if t.q:
            scale, zero = t.q
            tensor.quantization = s.QuantizationParametersT()
            tensor.quantization.scale = list(np.atleast_1d(scale).astype(float))
            tensor.quantization.zeroPoint = list(np.atleast_1d(zero).astype(int))
            tensor.quantization.quantizedDimension = t.axis
        if t.data is not None:
            buffer = s.BufferT()
            buffer.data = np.frombuffer(t.data.tobytes(), dtype=np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        graph.graph.tensors.append(tensor)
        return len(graph.graph.tensors) - 1

    def operator(self, graph, name, options, inputs, outputs, custom=None):
        code = s.OperatorCodeT()
        number = 32 if custom is not None else getattr(s.BuiltinOperator, name)
        code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
        code.version = {"BROADCAST_TO": 2}.get(name, 1)
        if custom is not None:
            code.customCode = name
        operator = s.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = len(self.model.operatorCodes), inputs, outputs
        self.model.operatorCodes.append(code)
        if custom is not None:
            operator.customOptions = np.frombuffer(custom, dtype=np.uint8)
        if options is not None:
            kind, fields = options
            table = getattr(s, kind + "T")()
            for field, value in fields.items():
                assert hasattr(table, field), (kind, field)
                setattr(table, field, value)
            if hasattr(s.BuiltinOptions2, kind):
                operator.builtinOptions2Type, operator.builtinOptions2 = getattr(s.BuiltinOptions2, kind), table
            else:
                operator.builtinOptionsType, operator.builtinOptions = getattr(s.BuiltinOptions, kind), table
        graph.graph.operators.append(operator)

    def bytes(self):
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def random(t):
    if t.kind == "f4":
        return noise(*t.shape, low=-1.0 if t.low is None else t.low, high=1.0 if t.high is None else t.high)
    if t.kind == "b1":
        return RANDOM.integers(0, 2, t.shape).astype(bool)
    info = np.iinfo(t.kind)
    low, high = (info.min if t.low is None else t.low), (info.max if t.high is None else t.high)
    if t.kind in ("i4", "i8") and t.low is None:
        low, high = -40, 40
    return RANDOM.integers(low, high, t.shape, endpoint=True).astype(t.kind)


def case(name, operator, options, inputs, outputs, runs=1, custom=None, feeds=None, version=None):
    """One operator: tensors without values that are no variables are inputs; `None` is an operand left out."""
    model = Model()
    graph = model.graph()
    places = [-1 if t is None else model.tensor(graph, t) for t in inputs]
    results = [model.tensor(graph, t) for t in outputs]
    free = [(p, t) for p, t in zip(places, inputs) if t is not None and t.data is None and not t.variable]
    graph.graph.inputs, graph.graph.outputs = [p for p, _ in free], results
    model.operator(graph, operator, options, places, results, custom)
    add(name, model, [[random(t) for _, t in free] for _ in range(runs)] if feeds is None else feeds)


def add(name, model, feeds):
    assert name not in CASES, name
    CASES[name] = (model.bytes(), feeds)


def by_kinds(name, operator, options, shapes, out, kinds=("f4", "i1"), out_kind=None, out_scale=0.05, **more):
    for kind in kinds:
        quant = {"i1": (0.05, 3), "u1": (0.05, 120), "i2": (0.001, 0)}.get(kind)
        result = {"i1": (out_scale, -4), "u1": (out_scale, 130), "i2": (out_scale / 50, 0)}.get(kind)
        make = lambda shape: T(kind, shape, q=quant, **more)
        last = T(out_kind or kind, out, q=None if out_kind else result)
        case(f"{name}-{kind}", operator, options, [make(shape) for shape in shapes], [last])


def arithmetic():
    both = [[2, 3, 4], [2, 3, 4]]
    for op in ("ADD", "SUB", "MUL"):
        options = (op.title() + "Options", {})
        by_kinds(op.lower(), op, options, both, [2, 3, 4], ("f4", "i1", "u1", "i2", "i4", "i8"))
        by_kinds(op.lower() + "-broadcast", op, options, [[2, 3, 4], [3, 1]], [2, 3, 4], ("f4", "i1", "i4"))
    case("div-f4", "DIV", ("DivOptions", {}), [f(2, 5), f(2, 5, low=0.5)], [f(2, 5)])
    case("div-i4", "DIV", ("DivOptions", {}), [T("i4", [2, 5]), T("i4", [2, 5], low=1, high=9)], [T("i4", [2, 5])])
    for op in ("MAXIMUM", "MINIMUM"):
        by_kinds(op.lower(), op, ("MaximumMinimumOptions", {}), both, [2, 3, 4], ("f4", "i4", "i8"))
    same = T("i1", [2, 6], q=(0.05, 3))
    case("maximum-i1", "MAXIMUM", ("MaximumMinimumOptions", {}), [same, same], [same])
    case("pow-f4", "POW", ("PowOptions", {}), [f(3, 4, low=0.1), f(3, 4)], [f(3, 4)])
    case("pow-i4", "POW", ("PowOptions", {}), [T("i4", [6], low=-5, high=5), T("i4", [6], low=0, high=5)], [T("i4", [6])])
    by_kinds("squared_difference", "SQUARED_DIFFERENCE", ("SquaredDifferenceOptions", {}), both, [2, 3, 4], ("f4", "i1", "i4"), out_scale=0.5)
    for kind in ("f4", "i4", "i8"):
        low, high = (0.3, 2.0) if kind == "f4" else (1, 7)
        for sign in (1, -1):
            b = T(kind, [3, 5], low=min(sign * low, sign * high), high=max(sign * low, sign * high))
            tag = f"{kind}{'' if sign > 0 else '-negative'}"
            case(f"floor_div-{tag}", "FLOOR_DIV", ("FloorDivOptions", {}), [T(kind, [3, 5], low=-3 if kind == "f4" else None, high=3 if kind == "f4" else None), b], [T(kind, [3, 5])])
            case(f"floor_mod-{tag}", "FLOOR_MOD", ("FloorModOptions", {}), [T(kind, [3, 5], low=-3 if kind == "f4" else None, high=3 if kind == "f4" else None), b], [T(kind, [3, 5])])
    case("atan2", "ATAN2", ("ATan2Options", {}), [f(9), f(9)], [f(9)], feeds=[[np.array([0, 1, -1, .5, -.5, 0, 1, -1, 0], "f4"), np.array([1, 0, 0, -.5, -.5, -1, 1, 1, 0], "f4")]])
    by_kinds("add_n", "ADD_N", ("AddNOptions", {}), [[2, 3]] * 3, [2, 3], ("f4", "i4"))
    by_kinds("bitwise_xor", "BITWISE_XOR", ("BitwiseXorOptions", {}), [[7], [7]], [7], ("i4",))
    case("right_shift-i4", "RIGHT_SHIFT", ("RightShiftOptions", {}), [T("i4", [7]), T("i4", [7], low=0, high=5)], [T("i4", [7])])
    for op in ("ABS", "NEG", "SQUARE", "SIGN"):
        kinds = {"ABS": ("f4", "i1", "i4"), "NEG": ("f4", "i4", "i8"), "SQUARE": ("f4",), "SIGN": ("f4", "i4")}[op]
        by_kinds(op.lower(), op, (op.title() + "Options", {}), [[2, 5]], [2, 5], kinds)
    for op in ("EXP", "SIN", "COS", "FLOOR", "CEIL", "ROUND", "ELU", "TANH", "LOGISTIC", "HARD_SWISH", "GELU", "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1"):
        options = {"EXP": ("ExpOptions", {}), "COS": ("CosOptions", {}), "HARD_SWISH": ("HardSwishOptions", {}), "GELU": ("GeluOptions", {})}.get(op)
        case(f"{op.lower()}-f4", op, options, [f(2, 3, 4, low=-4, high=4)], [f(2, 3, 4)])
    case("gelu-approximate", "GELU", ("GeluOptions", {"approximate": True}), [f(2, 9, low=-4, high=4)], [f(2, 9)])
    case("gelu-i1", "GELU", ("GeluOptions", {}), [q(2, 9, scale=0.03)], [q(2, 9, scale=0.02, zero=-90)])
    for op in ("LOG", "SQRT", "RSQRT"):
        case(f"{op.lower()}-f4", op, None, [f(2, 5, low=0.01, high=9)], [f(2, 5)])
    case("rsqrt-i1", "RSQRT", None, [T("i1", [2, 9], q=(0.02, -128), low=-120)], [T("i1", [2, 9], q=(0.05, -128))])
    case("log-i1", "LOG", None, [T("i1", [2, 9], q=(0.02, -128), low=-120)], [T("i1", [2, 9], q=(0.04, 40))])
    for op, out in (("TANH", (1 / 128, 0)), ("LOGISTIC", (1 / 256, -128))):
        case(f"{op.lower()}-i1", op, None, [q(2, 15)], [T("i1", [2, 15], q=out)])
        case(f"{op.lower()}-i2", op, None, [T("i2", [2, 15], q=(4 / 32768, 0))], [T("i2", [2, 15], q=(1 / 32768, 0))])
    for op in ("HARD_SWISH", "RELU", "RELU6", "ELU"):
        case(f"{op.lower()}-i1", op, ("HardSwishOptions", {}) if op == "HARD_SWISH" else None, [q(2, 15)], [q(2, 15, scale=0.04, zero=-20)])
    case("leaky_relu-f4", "LEAKY_RELU", ("LeakyReluOptions", {"alpha": 0.2}), [f(2, 9)], [f(2, 9)])
    case("leaky_relu-i1", "LEAKY_RELU", ("LeakyReluOptions", {"alpha": 0.2}), [q(2, 9)], [q(2, 9, scale=0.06)])
    case("prelu-f4", "PRELU", None, [f(1, 2, 3, 4), const(noise(1, 1, 4), "f4")], [f(1, 2, 3, 4)])
    case("prelu-slopes", "PRELU", None, [f(1, 2, 3, 4), f(1, 1, 4)], [f(1, 2, 3, 4)])
    case("fake_quant", "FAKE_QUANT", ("FakeQuantOptions", {"min": -0.7, "max": 0.9, "numBits": 4}), [f(30)], [f(30)])


def logic():
    for op in ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"):
        kind = "".join(p.title() for p in op.split("_")) + "Options"
        for t, low, high in (("f4", -1, 1), ("i4", 0, 3), ("i1", 0, 20)):
            quant = (0.05, 3) if t == "i1" else None
            make = lambda: T(t, [3, 7], low=low, high=high, q=quant)
            case(f"{op.lower()}-{t}", op, (kind, {}), [make(), make()], [T("b1", [3, 7])])
    for op in ("LOGICAL_AND", "LOGICAL_OR"):
        case(op.lower(), op, ("".join(p.title() for p in op.split("_")) + "Options", {}), [T("b1", [3, 4]), T("b1", [1, 4])], [T("b1", [3, 4])])
    case("logical_not", "LOGICAL_NOT", ("LogicalNotOptions", {}), [T("b1", [9])], [T("b1", [9])])
    for kind in ("f4", "i1", "i4"):
        quant = (0.05, 3) if kind == "i1" else None
        make = lambda *shape: T(kind, shape, q=quant)
        case(f"select-{kind}", "SELECT", ("SelectOptions", {}), [T("b1", [2, 5]), make(2, 5), make(2, 5)], [make(2, 5)])
        case(f"select-rows-{kind}", "SELECT", ("SelectOptions", {}), [T("b1", [2]), make(2, 5), make(2, 5)], [make(2, 5)])
        case(f"select_v2-{kind}", "SELECT_V2", ("SelectV2Options", {}), [T("b1", [2, 1]), make(5), make(2, 5)], [make(2, 5)])
    for a, b in (("f4", "i4"), ("i4", "f4"), ("b1", "f4"), ("f4", "b1"), ("i8", "i4"), ("u1", "f4"), ("f4", "u1"), ("i1", "i4"), ("i4", "i8"), ("f4", "i2"), ("i4", "b1")):
        low, high = {"f4": (0, 200) if b == "u1" else (-50.5, 50.5), "i4": (-1, 1) if b == "b1" else (None, None)}.get(a, (None, None))
        case(f"cast-{a}-{b}", "CAST", ("CastOptions", {}), [T(a, [3, 4], low=low, high=high)], [T(b, [3, 4])])
    case("bucketize", "BUCKETIZE", ("BucketizeOptions", {"boundaries": [-0.5, 0.0, 0.3]}), [f(12)], [T("i4", [12])])


def reductions():
    for op, kinds in (("SUM", ("f4", "i1", "i4")), ("MEAN", ("f4", "i1", "u1", "i4", "i2")), ("REDUCE_MAX", ("f4", "i4")), ("REDUCE_MIN", ("f4", "i4")), ("REDUCE_PROD", ("f4",))):
        for kind in kinds:
            quant = {"i1": (0.05, 3), "u1": (0.05, 120), "i2": (0.001, 0)}.get(kind)
            out = {"i1": (0.2, -4), "u1": (0.06, 130), "i2": (0.001, 0)}.get(kind)
            case(f"{op.lower()}-{kind}", op, ("ReducerOptions", {"keepDims": True}), [T(kind, [2, 3, 4, 5], q=quant), const([1, 2])], [T(kind, [2, 1, 1, 5], q=out)])
            case(f"{op.lower()}-drop-{kind}", op, ("ReducerOptions", {}), [T(kind, [2, 3, 4], q=quant), const([-1])], [T(kind, [2, 3], q=out)])
    case("reduce_max-i1", "REDUCE_MAX", ("ReducerOptions", {}), [q(2, 3, 4), const([1])], [q(2, 4)])
    for op in ("REDUCE_ANY", "REDUCE_ALL"):
        case(op.lower(), op, ("ReducerOptions", {}), [T("b1", [4, 3]), const([1])], [T("b1", [4])])
    for op in ("ARG_MAX", "ARG_MIN"):
        kind = "ArgMaxOptions" if op == "ARG_MAX" else "ArgMinOptions"
        case(f"{op.lower()}-f4", op, (kind, {"outputType": 2}), [f(2, 5, 3), const(1)], [T("i4", [2, 3])])
        case(f"{op.lower()}-i1", op, (kind, {"outputType": 4}), [q(2, 5, 3, low=0, high=4), const(-1)], [T("i8", [2, 5])])
    for exclusive, reverse in ((0, 0), (1, 0), (0, 1), (1, 1)):
        case(f"cumsum-{exclusive}{reverse}", "CUMSUM", ("CumsumOptions", {"exclusive": bool(exclusive), "reverse": bool(reverse)}), [f(2, 5), const(1)], [f(2, 5)])
    case("cumsum-i4", "CUMSUM", ("CumsumOptions", {}), [T("i4", [2, 5]), const(0)], [T("i4", [2, 5])])
    case("topk_v2-f4", "TOPK_V2", ("TopKV2Options", {}), [f(2, 9), const(3)], [f(2, 3), T("i4", [2, 3])])
    case("topk_v2-i4", "TOPK_V2", ("TopKV2Options", {}), [T("i4", [9], low=-500, high=500), const(4)], [T("i4", [4]), T("i4", [4])])
    case("softmax-f4", "SOFTMAX", ("SoftmaxOptions", {"beta": 1.0}), [f(2, 9)], [f(2, 9)])
    case("softmax-i2", "SOFTMAX", ("SoftmaxOptions", {"beta": 1.0}), [T("i2", [2, 9], q=(0.0005, 0))], [T("i2", [2, 9], q=(1 / 32768, 0))])
    case("log_softmax-f4", "LOG_SOFTMAX", ("LogSoftmaxOptions", {}), [f(2, 9)], [f(2, 9)])
    case("log_softmax-i1", "LOG_SOFTMAX", ("LogSoftmaxOptions", {}), [q(2, 9)], [T("i1", [2, 9], q=(16 / 256, 127))])
    case("l2_normalization-f4", "L2_NORMALIZATION", ("L2NormOptions", {}), [f(2, 3, 9)], [f(2, 3, 9)])
    case("l2_normalization-i1", "L2_NORMALIZATION", ("L2NormOptions", {}), [q(2, 9)], [T("i1", [2, 9], q=(1 / 128, 0))])
    case("lrn", "LOCAL_RESPONSE_NORMALIZATION", ("LocalResponseNormalizationOptions", {"radius": 2, "bias": 1.0, "alpha": 0.3, "beta": 0.7}), [f(1, 2, 3, 8)], [f(1, 2, 3, 8)])
    case("l2_pool_2d", "L2_POOL_2D", ("Pool2DOptions", {"padding": 0, "strideW": 2, "strideH": 2, "filterWidth": 3, "filterHeight": 3}), [f(1, 5, 6, 2)], [f(1, 3, 3, 2)])


def moves():
    for kind in ("f4", "i1", "i4"):
        quant = (0.05, 3) if kind == "i1" else None
        t = lambda *shape, **more: T(kind, shape, q=quant, **more)
        case(f"gather-{kind}", "GATHER", ("GatherOptions", {"axis": 1}), [t(2, 5, 3), const([4, 0, 2, 2])], [t(2, 4, 3)])
        case(f"gather-batch-{kind}", "GATHER", ("GatherOptions", {"axis": 1, "batchDims": 1}), [t(2, 5, 3), T("i4", [2, 2], low=0, high=4)], [t(2, 2, 3)])
        case(f"gather-batch-later-{kind}", "GATHER", ("GatherOptions", {"axis": 2, "batchDims": 1}), [t(2, 3, 5, 2), T("i4", [2, 4], low=0, high=4)], [t(2, 3, 4, 2)])
        case(f"gather_nd-{kind}", "GATHER_ND", ("GatherNdOptions", {}), [t(3, 4, 2), const([[0, 1], [2, 3], [1, 1]])], [t(3, 2)])
        case(f"pack-{kind}", "PACK", ("PackOptions", {"valuesCount": 3, "axis": 1}), [t(2, 4)] * 3, [t(2, 3, 4)])
        case(f"unpack-{kind}", "UNPACK", ("UnpackOptions", {"num": 3, "axis": 1}), [t(2, 3, 4)], [t(2, 4)] * 3)
        case(f"reverse_v2-{kind}", "REVERSE_V2", ("ReverseV2Options", {}), [t(2, 3, 4), const([1])], [t(2, 3, 4)])
        case(f"tile-{kind}", "TILE", ("TileOptions", {}), [t(2, 3), const([2, 3])], [t(4, 9)])
        case(f"mirror_pad-{kind}", "MIRROR_PAD", ("MirrorPadOptions", {"mode": 0}), [t(3, 4), const([[1, 2], [2, 0]])], [t(6, 6)])
        case(f"mirror_pad-symmetric-{kind}", "MIRROR_PAD", ("MirrorPadOptions", {"mode": 1}), [t(3, 4), const([[1, 2], [2, 3]])], [t(6, 9)])
        case(f"broadcast_to-{kind}", "BROADCAST_TO", ("BroadcastToOptions", {}), [t(3, 1), const([2, 3, 4])], [t(2, 3, 4)])
        case(f"space_to_batch-{kind}", "SPACE_TO_BATCH_ND", ("SpaceToBatchNDOptions", {}), [t(1, 5, 4, 2), const([2, 2]), const([[1, 0], [0, 2]])], [t(4, 3, 3, 2)])
        case(f"batch_to_space-{kind}", "BATCH_TO_SPACE_ND", ("BatchToSpaceNDOptions", {}), [t(4, 3, 3, 2), const([2, 2]), const([[1, 0], [0, 2]])], [t(1, 5, 4, 2)])
        case(f"slice-computed-{kind}", "SLICE", ("SliceOptions", {}), [t(4, 5), T("i4", [2], low=0, high=2), const([2, 3])], [t(2, 3)])
        case(f"strided_slice-back-{kind}", "STRIDED_SLICE", ("StridedSliceOptions", {"endMask": 2}), [t(4, 5), const([3, 4]), const([0, 0]), const([-2, -1])], [t(2, 5)])
        case(f"dynamic_update_slice-{kind}", "DYNAMIC_UPDATE_SLICE", ("DynamicUpdateSliceOptions", {}), [t(4, 5), t(2, 3), T("i4", [2], low=0, high=5)], [t(4, 5)])
        case(f"expand_dims-{kind}", "EXPAND_DIMS", ("ExpandDimsOptions", {}), [t(4, 5), const(1)], [t(4, 1, 5)])
    case("pad-i2", "PAD", ("PadOptions", {}), [T("i2", [2, 3], q=(0.001, 0)), const([[1, 0], [0, 2]])], [T("i2", [3, 5], q=(0.001, 0))])
    case("strided_slice-masks", "STRIDED_SLICE", ("StridedSliceOptions", {"ellipsisMask": 2, "newAxisMask": 4, "shrinkAxisMask": 1, "beginMask": 8}), [f(3, 4, 5, 6), const([1, 0, 0, 0]), const([0, 0, 0, 3]), const([1, 1, 1, 1])], [f(4, 5, 1, 3)])
    case("reverse_sequence", "REVERSE_SEQUENCE", ("ReverseSequenceOptions", {"seqDim": 1, "batchDim": 0}), [f(3, 5, 2), const([2, 5, 3])], [f(3, 5, 2)])
    case("scatter_nd-f4", "SCATTER_ND", ("ScatterNdOptions", {}), [const([[1], [3], [1]]), f(3, 2), const([5, 2])], [f(5, 2)])
    case("scatter_nd-i4", "SCATTER_ND", ("ScatterNdOptions", {}), [const([[1], [3]]), T("i4", [2, 2]), const([5, 2])], [T("i4", [5, 2])])
    case("sparse_to_dense", "SPARSE_TO_DENSE", ("SparseToDenseOptions", {}), [const([[0, 1], [2, 3]]), const([3, 4]), f(2), const(0.5, "f4")], [f(3, 4)])
    case("segment_sum", "SEGMENT_SUM", ("SegmentSumOptions", {}), [f(5, 2), const([0, 0, 1, 2, 2])], [f(3, 2)])
    for op, name in (("SUM", "Sum"), ("PROD", "Prod"), ("MAX", "Max"), ("MIN", "Min")):
        case(f"unsorted_segment_{op.lower()}", "UNSORTED_SEGMENT_" + op, (f"UnsortedSegment{name}Options", {}), [f(5, 2), const([2, 0, -1, 2, 0]), const(4)], [f(4, 2)])
    case("one_hot-f4", "ONE_HOT", ("OneHotOptions", {"axis": -1}), [T("i4", [2, 3], low=-1, high=4), const(4), const(0.7, "f4"), const(-0.2, "f4")], [f(2, 3, 4)])
    case("one_hot-i4", "ONE_HOT", ("OneHotOptions", {"axis": 1}), [T("i4", [2, 3], low=0, high=3), const(4), const(7), const(1)], [T("i4", [2, 4, 3])])
    case("matrix_diag", "MATRIX_DIAG", ("MatrixDiagOptions", {}), [f(2, 3)], [f(2, 3, 3)])
    case("matrix_set_diag", "MATRIX_SET_DIAG", ("MatrixSetDiagOptions", {}), [f(2, 3, 3), f(2, 3)], [f(2, 3, 3)])
    case("shape", "SHAPE", ("ShapeOptions", {"outType": 2}), [f(2, 3, 4)], [T("i4", [3])])
    case("rank", "RANK", ("RankOptions", {}), [f(2, 3, 4)], [T("i4", [])])
    case("fill-f4", "FILL", ("FillOptions", {}), [const([2, 3]), f()], [f(2, 3)])
    case("zeros_like", "ZEROS_LIKE", ("ZerosLikeOptions", {}), [f(2, 3)], [f(2, 3)])
    case("range-i4", "RANGE", ("RangeOptions", {}), [const(2), const(11), const(3)], [T("i4", [3])])
    case("broadcast_args", "BROADCAST_ARGS", None, [const([3, 1]), T("i4", [3], low=1, high=1)], [T("i4", [3])], feeds=[[np.array([2, 1, 4], "i4")]])
    case("where", "WHERE", ("WhereOptions", {}), [T("b1", [3, 4])], [T("i8", [1, 2], signature=[-1, 2])])
    case("embedding_lookup", "EMBEDDING_LOOKUP", None, [T("i4", [3], low=0, high=4), const(noise(5, 4), "f4")], [f(3, 4)])
    case("split_v", "SPLIT_V", ("SplitVOptions", {"numSplits": 2}), [f(2, 5), const([2, 3]), const(1)], [f(2, 2), f(2, 3)])
    case("dilate", "DILATE", ("DilateOptions", {}), [f(2, 3), const([2, 3]), const(0.5, "f4")], [f(3, 7)])


def products():
    w = lambda *shape: const(noise(*shape), "f4")
    for x, y in ((0, 0), (1, 0), (0, 1), (1, 1)):
        a, b = ([2, 4, 3] if x else [2, 3, 4]), ([2, 5, 4] if y else [2, 4, 5])
        case(f"batch_matmul-{x}{y}", "BATCH_MATMUL", ("BatchMatMulOptions", {"adjX": bool(x), "adjY": bool(y)}), [f(*a), f(*b)], [f(2, 3, 5)])
    case("batch_matmul-broadcast", "BATCH_MATMUL", ("BatchMatMulOptions", {}), [f(2, 1, 3, 4), f(3, 4, 5)], [f(2, 3, 3, 5)])
    case("batch_matmul-i1", "BATCH_MATMUL", ("BatchMatMulOptions", {}), [q(2, 3, 4), q(2, 4, 5)], [q(2, 3, 5, scale=0.5)])
    case("fully_connected-computed", "FULLY_CONNECTED", ("FullyConnectedOptions", {}), [f(2, 4), f(3, 4), None], [f(2, 3)])
    for padding, stride, out in ((0, 2, (8, 6)), (1, 2, (9, 7)), (0, 1, (4, 3)), (1, 1, (6, 5)), (0, 2, (7, 5)), (1, 3, (12, 9))):
        shape = const([1, *out, 2])
        fields = {"padding": padding, "strideW": stride, "strideH": stride}
        case(f"transpose_conv-{padding}{stride}-{out[0]}", "TRANSPOSE_CONV", ("TransposeConvOptions", fields), [shape, w(2, 3, 3, 4), f(1, 4, 3, 4), w(2)], [f(1, *out, 2)])
    weights = T("i1", [2, 3, 3, 4], data=RANDOM.integers(-127, 127, (2, 3, 3, 4)), q=([0.01, 0.02], [0, 0]), axis=0)
    bias = T("i4", [2], data=[500, -700], q=([0.0005, 0.001], [0, 0]))
    case("transpose_conv-i1", "TRANSPOSE_CONV", ("TransposeConvOptions", {"padding": 0, "strideW": 2, "strideH": 2}), [const([1, 8, 6, 2]), weights, q(1, 4, 3, 4), bias], [q(1, 8, 6, 2, scale=0.2)])
    wide = T("i1", [3, 3, 3, 2], data=RANDOM.integers(-127, 127, (3, 3, 3, 2)), q=([0.01, 0.02, 0.03], [0, 0, 0]), axis=0)
    terms = T("i8", [3], data=[50000, -70000, 10], q=([0.00001, 0.00002, 0.00003], [0, 0, 0]))
    case("conv_2d-i2", "CONV_2D", ("Conv2DOptions", {"padding": 0, "strideW": 1, "strideH": 1}), [T("i2", [1, 5, 5, 2], q=(0.001, 0)), wide, terms], [T("i2", [1, 5, 5, 3], q=(0.005, 0))])
    case("fully_connected-i2", "FULLY_CONNECTED", ("FullyConnectedOptions", {}), [T("i2", [2, 6], q=(0.001, 0)), T("i1", [4, 6], data=RANDOM.integers(-127, 127, (4, 6)), q=(0.01, 0)), T("i8", [4], data=[1000, -5, 0, 70000], q=(0.00001, 0))], [T("i2", [2, 4], q=(0.003, 0))])
    case("fully_connected-hybrid", "FULLY_CONNECTED", ("FullyConnectedOptions", {}), [f(2, 6), T("i1", [4, 6], data=RANDOM.integers(-127, 127, (4, 6)), q=(0.01, 0)), w(4)], [f(2, 4)])


def recurrent():
    w = lambda *shape: const(noise(*shape), "f4")
    state = lambda *shape: T("f4", shape, variable=True)
    n, k = 4, 3

    def lstm(name, time, peephole=False, coupled=False, projection=None, norm=False, clip=0.0, op="UNIDIRECTIONAL_SEQUENCE_LSTM", x=None):
        out = projection or n
        gate = lambda have, *shape: w(*shape) if have else None
        inputs = [x or (f(2, time, k) if op[0] == "U" else f(2, k))]
        inputs += [gate(not coupled, n, k)] + [w(n, k) for _ in range(3)] + [gate(not coupled, n, out)] + [w(n, out) for _ in range(3)]
        inputs += [gate(peephole and not coupled, n), gate(peephole, n), gate(peephole, n)]
        inputs += [gate(not coupled, n)] + [w(n) for _ in range(3)]
        inputs += [gate(projection, out, n), gate(projection, out) if projection else None]
        inputs += [state(2, out), state(2, n)]
        if norm:
            inputs += [gate(not coupled, n)] + [w(n) for _ in range(3)]
        fields = {"fusedActivationFunction": 4, "cellClip": clip}
        options = ("UnidirectionalSequenceLSTMOptions", fields) if op[0] == "U" else ("LSTMOptions", fields)
        case(name, op, options, inputs, [f(2, time, out) if op[0] == "U" else f(2, out)], runs=3)

    lstm("sequence_lstm", 5)
    lstm("sequence_lstm-peephole", 3, peephole=True)
    lstm("sequence_lstm-coupled", 3, coupled=True)
    lstm("sequence_lstm-projection", 3, projection=2, clip=0.4)
    lstm("sequence_lstm-norm", 3, norm=True)
    lstm("lstm", 1, op="LSTM")
    case("lstm-basic", "LSTM", ("LSTMOptions", {"fusedActivationFunction": 4, "kernelType": 1}), [f(2, k), f(2, n), w(4 * n, k + n), w(4 * n), f(2, n)], [f(2, n), f(2, n), f(2, k + n), f(2, 4 * n)])
    cell = [w(n, k) for _ in range(4)] + [w(n, n) for _ in range(4)] + [None] * 3 + [w(n) for _ in range(4)] + [None] * 2
    back = [w(n, k) for _ in range(4)] + [w(n, n) for _ in range(4)] + [None] * 3 + [w(n) for _ in range(4)] + [None] * 2
    states = [state(2, n) for _ in range(4)]
    for merge in (False, True):
        outputs = [f(2, 5, 2 * n)] if merge else [f(2, 5, n), f(2, 5, n)]
        fields = {"fusedActivationFunction": 4, "mergeOutputs": merge, "timeMajor": False}
        case(f"bidirectional_lstm{'-merged' if merge else ''}", "BIDIRECTIONAL_SEQUENCE_LSTM", ("BidirectionalSequenceLSTMOptions", fields), [f(2, 5, k), *cell, *back, *states] + [None] * 9, outputs)
    one = lambda: [w(n, k), w(n, n), w(n), state(2, n)]
    case("sequence_rnn", "UNIDIRECTIONAL_SEQUENCE_RNN", ("SequenceRNNOptions", {"fusedActivationFunction": 4}), [f(2, 5, k), *one()], [f(2, 5, n)], runs=2)
    case("sequence_rnn-time-major", "UNIDIRECTIONAL_SEQUENCE_RNN", ("SequenceRNNOptions", {"timeMajor": True, "fusedActivationFunction": 1}), [f(5, 2, k), *one()], [f(5, 2, n)], runs=2)
    case("rnn", "RNN", ("RNNOptions", {"fusedActivationFunction": 4}), [f(2, k), *one()], [f(2, n)], runs=3)
    case("bidirectional_rnn", "BIDIRECTIONAL_SEQUENCE_RNN", ("BidirectionalSequenceRNNOptions", {"fusedActivationFunction": 4}), [f(2, 5, k), *one(), *one()] + [None] * 3, [f(2, 5, n), f(2, 5, n)])
    case("svdf", "SVDF", ("SVDFOptions", {"rank": 2}), [f(2, k), w(8, k), w(8, 5), w(4), state(2, 40)], [f(2, 4)], runs=7)
    integers = lambda kind, shape, scale, limit: T(kind, shape, data=RANDOM.integers(-limit, limit, shape), q=(scale, 0))
    held = T("i2", [1, 40], q=(0.0005, 0), variable=True)
    case("svdf-i1", "SVDF", ("SVDFOptions", {"rank": 2, "fusedActivationFunction": 1}), [q(1, k), integers("i1", (8, k), 0.01, 127), integers("i2", (8, 5), 0.0003, 3000), T("i4", [4], data=[900, -900, 0, 5], q=(0.0005 * 0.0003, 0)), held], [q(1, 4, scale=0.2, zero=-5)], runs=7)


def control():
    model = Model()
    main, then, other = model.graph(), model.graph(), model.graph()
    for graph, op in ((then, "ADD"), (other, "MUL")):
        a, b, c = (model.tensor(graph, f(3)) for _ in range(3))
        model.operator(graph, op, (op.title() + "Options", {}), [a, b], [c])
        graph.graph.inputs, graph.graph.outputs = [a, b], [c]
    flag, a, b, y = model.tensor(main, T("b1", [1])), model.tensor(main, f(3)), model.tensor(main, f(3)), model.tensor(main, f(3))
    model.operator(main, "IF", ("IfOptions", {"thenSubgraphIndex": 1, "elseSubgraphIndex": 2}), [flag, a, b], [y])
    main.graph.inputs, main.graph.outputs = [flag, a, b], [y]
    for value in (True, False):
        add(f"if-{value}".lower(), model, [[np.array([value]), noise(3), noise(3)]])

    model = Model()
    main, test, body = model.graph(), model.graph(), model.graph()
    count, value, limit, flag = model.tensor(test, T("i4", [1])), model.tensor(test, f(3)), model.tensor(test, const([5])), model.tensor(test, T("b1", [1]))
    model.operator(test, "LESS", ("LessOptions", {}), [count, limit], [flag])
    test.graph.inputs, test.graph.outputs = [count, value], [flag]
    count, value, one, more, next_ = model.tensor(body, T("i4", [1])), model.tensor(body, f(3)), model.tensor(body, const([1])), model.tensor(body, T("i4", [1])), model.tensor(body, f(3))
    model.operator(body, "ADD", ("AddOptions", {}), [count, one], [more])
    model.operator(body, "ADD", ("AddOptions", {}), [value, value], [next_])
    body.graph.inputs, body.graph.outputs = [count, value], [more, next_]
    ends = [model.tensor(main, t) for t in (T("i4", [1]), f(3), T("i4", [1]), f(3))]
    model.operator(main, "WHILE", ("WhileOptions", {"condSubgraphIndex": 1, "bodySubgraphIndex": 2}), ends[:2], ends[2:])
    main.graph.inputs, main.graph.outputs = ends[:2], ends[2:]
    add("while", model, [[np.array([2], "i4"), noise(3)]])

    model = Model()
    main, first = model.graph(), model.graph()
    handle, start = model.tensor(first, T("resource", [])), model.tensor(first, const(noise(1, 3), "f4"))
    options = ("VarHandleOptions", {"container": "", "sharedName": "held"})
    model.operator(first, "VAR_HANDLE", options, [], [handle])
    model.operator(first, "ASSIGN_VARIABLE", ("AssignVariableOptions", {}), [handle, start], [])
    x, handle, old, new = model.tensor(main, f(1, 3)), model.tensor(main, T("resource", [])), model.tensor(main, f(1, 3)), model.tensor(main, f(1, 3))
    model.operator(main, "CALL_ONCE", ("CallOnceOptions", {"initSubgraphIndex": 1}), [], [])
    model.operator(main, "VAR_HANDLE", options, [], [handle])
    model.operator(main, "READ_VARIABLE", ("ReadVariableOptions", {}), [handle], [old])
    model.operator(main, "ADD", ("AddOptions", {}), [old, x], [new])
    model.operator(main, "ASSIGN_VARIABLE", ("AssignVariableOptions", {}), [handle, new], [])
    main.graph.inputs, main.graph.outputs = [x], [new]
    add("variables", model, [[noise(1, 3)] for _ in range(4)])

    model = Model()
    main = model.graph()
    x, length, wave = model.tensor(main, f(2, 3, 10)), model.tensor(main, const([4, 8])), model.tensor(main, T("c8", [2, 4, 5]))
    outputs = [model.tensor(main, f(2, 4, 5)) for _ in range(3)]
    model.operator(main, "RFFT2D", ("Rfft2dOptions", {}), [x, length], [wave])
    for op, y in zip(("REAL", "IMAG", "COMPLEX_ABS"), outputs):
        model.operator(main, op, None, [wave], [y])
    main.graph.inputs, main.graph.outputs = [x], outputs
    add("rfft2d", model, [[noise(2, 3, 10)]])


def boxes():
    from flatbuffers import flexbuffers

    def options(regular, **more):
        values = {"max_detections": 4, "max_classes_per_detection": 1, "detections_per_class": 3, "num_classes": 3, "nms_score_threshold": 0.1, "nms_iou_threshold": 0.4, "y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0, "use_regular_nms": regular}
        return bytes(flexbuffers.Dumps({**values, **more}))

    anchors = const(np.stack([RANDOM.uniform(0.2, 0.8, 30), RANDOM.uniform(0.2, 0.8, 30), RANDOM.uniform(0.1, 0.3, 30), RANDOM.uniform(0.1, 0.3, 30)], 1), "f4")
    quantised = T("u1", [30, 4], data=np.round(anchors.data * 250), q=(1 / 250, 0))
    results = [f(1, 4, 4), f(1, 4), f(1, 4), f(1)]
    for regular in (False, True):
        tag = "regular" if regular else "fast"
        case(f"detection-{tag}", "TFLite_Detection_PostProcess", None, [f(1, 30, 4), f(1, 30, 4, low=0), anchors], results, custom=options(regular))
        case(f"detection-{tag}-bytes", "TFLite_Detection_PostProcess", None, [T("u1", [1, 30, 4], q=(0.02, 128)), T("u1", [1, 30, 3], q=(1 / 256, 0)), quantised], results, custom=options(regular))
    many = [f(1, 8, 4), f(1, 8), f(1, 8), f(1)]
    case("detection-classes", "TFLite_Detection_PostProcess", None, [f(1, 30, 4), f(1, 30, 4, low=0), anchors], many, custom=options(False, max_classes_per_detection=2))
    corners = RANDOM.uniform(0, 1, (12, 2))
    corners = np.concatenate([corners, corners + RANDOM.uniform(0.1, 0.5, (12, 2))], 1)
    shared = lambda: [const(corners, "f4"), f(12, low=0), const(6), const(0.4, "f4"), const(0.2, "f4")]
    case("nms_v4", "NON_MAX_SUPPRESSION_V4", ("NonMaxSuppressionV4Options", {}), shared(), [T("i4", [6]), T("i4", [])])
    case("nms_v5", "NON_MAX_SUPPRESSION_V5", ("NonMaxSuppressionV5Options", {}), [*shared(), const(0.5, "f4")], [T("i4", [6]), f(6), T("i4", [])])


# Where the reference kernels are known to be wrong: sums of bytes lose half their range, and the window over channels its last one.
OPTIMISED = ("sum-i1", "sum-drop-i1", "lrn")


def run(name, model, feeds):
    try:
        if name in OPTIMISED:
            raise ValueError
        runtime = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    except ValueError:
        # The reference kernels lack a few operators that the others have.
        kind = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        runtime = Interpreter(model_content=model, experimental_op_resolver_type=kind)
    runtime.allocate_tensors()
    runtime.reset_all_variables()
    results = []
    for feed in feeds:
        for port, value in zip(runtime.get_input_details(), feed):
            runtime.set_tensor(port["index"], value)
        runtime.invoke()
        results.append([runtime.get_tensor(port["index"]).copy() for port in runtime.get_output_details()])
    # Runs that follow one another are joined along the first axis, as the inputs are.
    join = lambda parts: parts[0] if len(parts) == 1 else np.concatenate(parts)
    return [join(list(parts)) for parts in zip(*feeds)], [join(list(parts)) for parts in zip(*results)]


def listed(array):
    values = array.flatten()
    numbers = [float(np.float32(v)) for v in values] if values.dtype.kind == "f" else [int(v) for v in values]
    return {"type": array.dtype.str[1:], "shape": list(array.shape), "values": numbers}


def main():
    folder, file = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for family in (arithmetic, logic, reductions, moves, products, recurrent, control, boxes):
        family()
    lines = []
    for name, (model, feeds) in sorted(CASES.items()):
        try:
            inputs, outputs = run(name, model, feeds)
        except Exception as error:
            print(f"{name}: the reference refuses it: {str(error).splitlines()[0][:150]}")
            continue
        (folder / f"{name}.tflite").write_bytes(model)
        for kind, arrays in (("", inputs), ("want", outputs)):
            for place, array in enumerate(arrays):
                np.save(folder / f"{name}.{kind}{place}.npy", array)
        record = {"model": model.hex(), "inputs": [listed(a) for a in inputs], "outputs": [listed(a) for a in outputs]}
        lines.append(f"{json.dumps(name)}: {json.dumps(record)}")
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(len(lines), "models")


main()
