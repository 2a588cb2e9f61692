"""Sums, products, functions of one variable, pools, concatenation, softmax."""
import numpy as np

from .layers import ACTIVATIONS, activate, conv


def broadcasts():
    for op in ("Add", "Sub", "Mul"):
        def build(g, op=op):
            spread = 0.05 if op != "Mul" else 0.09
            def join(a, b, act=None, kind="int8", scale=spread):
                return g.quantise(activate(g, g.op(op, [a, b]), act), scale, 3 if kind == "int8" else 130, kind)
            x = g.activation((1, 5, 4, 3))
            y = g.activation((1, 5, 4, 3), scale=0.017, zero=40)
            u = g.activation((1, 5, 4, 3), kind="uint8", scale=0.044)
            def constant(shape, **how):
                return g.real_weights(shape, scale=0.02, **how)[0]
            yield "two tensors", lambda: join(x.real(), y.real())
            yield "the other way round", lambda: join(y.real(), x.real())
            if op != "Sub":
                yield "itself", lambda: join(x.real(), x.real())
            v = g.activation((1, 5, 4, 3), kind="uint8", scale=0.02)
            yield "uint8", lambda: join(u.real(), v.real(), kind="uint8")
            yield "uint8 and int8", lambda: join(u.real(), y.real(), kind="uint8")
            yield "Relu", lambda: join(x.real(), y.real(), "Relu")
            yield "Relu6", lambda: join(x.real(), y.real(), "Relu6", scale=0.03)
            yield "operand a hundred times smaller", lambda: join(x.real(), g.activation((1, 5, 4, 3), scale=0.0003).real())
            yield "result saturates", lambda: join(x.real(), y.real(), scale=0.004)
            yield "scalar", lambda: join(x.real(), constant(()))
            yield "scalar first", lambda: join(constant(()), x.real())
            yield "float scalar", lambda: join(x.real(), g.const(np.float32(0.7)))
            yield "float for each channel", lambda: join(x.real(), g.const(g.rng.uniform(-2, 2, (5, 1, 1)).astype(np.float32)))
            yield "[C, 1, 1]", lambda: join(x.real(), constant((5, 1, 1)))
            yield "[1, C, 1, 1] uint8 constant", lambda: join(x.real(), constant((1, 5, 1, 1), kind="uint8", zero=99))
            yield "[W]", lambda: join(x.real(), constant((3,)))
            yield "[H, 1]", lambda: join(x.real(), constant((4, 1)))
            yield "[1, C, 1, 1] activation", lambda: join(x.real(), g.activation((1, 5, 1, 1), scale=0.02).real())
            yield "both broadcast", lambda: join(g.activation((1, 5, 1, 3)).real(), g.activation((4, 1), scale=0.02).real())
        yield f"{op.lower()}-broadcast", build

    def build(g):
        x = g.activation((2, 6, 3, 4))
        def squeeze(gate, keep=True, kind="int8"):
            pooled = g.quantise(g.op("GlobalAveragePool", [x.real()]), 0.012, 3, kind)
            down = conv(g, pooled, 6, 3, (1, 1), act="Relu", kind=kind)
            real = activate(g, conv(g, down, 3, 6, (1, 1), kind=kind).real(), gate)
            return g.quantise(g.op("Mul", [x.real(), g.quantise(real, 1 / 256, -128 if kind == "int8" else 0, kind).real()]), 0.025, 2)
        yield "Sigmoid", lambda: squeeze("Sigmoid")
        yield "HardSigmoid", lambda: squeeze(("HardSigmoid", {"alpha": 1 / 6}))
        yield "uint8", lambda: squeeze("Sigmoid", kind="uint8")
    yield "squeeze-excite", build


def residual():
    def build(g):
        x = g.activation((1, 4, 6, 6))
        def block():
            y = conv(g, conv(g, x, 4, 6, (1, 1), act="Relu6"), 6, 4, (3, 3), pads=[1, 1, 1, 1])
            return g.quantise(g.op("Relu", [g.op("Add", [y.real(), x.real()])]), 0.05, -128)
        yield "block", block
        def chain():
            y = x
            for _ in range(3):
                z = conv(g, y, 4, 4, (3, 3), pads=[1, 1, 1, 1], group=4)
                y = g.quantise(g.op("Add", [z.real(), y.real(shared=False)]), z.scale * 1.2, 7)
            return y
        yield "chain", chain
    yield "residual", build


def unary():
    more = ["Abs", "Neg", "Exp", "Softplus", "Softsign", "Identity", ("ThresholdedRelu", {"alpha": 0.4}), ("Selu", {}), "Floor",
            "Round", "Erf"]
    for kind in ("int8", "uint8"):
        def build(g, kind=kind):
            x = g.activation((1, 3, 4, 7), kind=kind)
            for act in ACTIVATIONS + more:
                scale = 0.2 if act == "Exp" else 1 / 128 if act in ("Sigmoid", "Tanh", "Erf", "Softsign") else 0.028
                yield f"{act}", lambda act=act, scale=scale: g.quantise(activate(g, x.real(), act), scale, -7 if kind == "int8" else 121, kind)
            def silu():
                real = x.real()
                return g.quantise(g.op("Mul", [real, g.op("Sigmoid", [real])]), 0.03, 4 if kind == "int8" else 100, kind)
            yield "SiLU as Sigmoid and Mul", silu
            def silu_quantised():
                gate = g.quantise(g.op("Sigmoid", [x.real()]), 1 / 256, -128)
                return g.quantise(g.op("Mul", [x.real(), gate.real()]), 0.03, 4 if kind == "int8" else 100, kind)
            yield "SiLU, gate quantised", silu_quantised
            def gelu():
                c, real = lambda v: g.const(np.float32(v)), x.real()
                erf = g.op("Add", [g.op("Erf", [g.op("Div", [real, c(np.sqrt(2))])]), c(1)])
                return g.quantise(g.op("Mul", [g.op("Mul", [real, erf]), c(0.5)]), 0.03, 4 if kind == "int8" else 100, kind)
            yield "GELU as Erf", gelu
            def hard_swish():
                real = x.real()
                gate = g.op("Clip", [g.op("Add", [real, g.const(np.float32(3))]), g.const(np.float32(0)), g.const(np.float32(6))])
                return g.quantise(g.op("Div", [g.op("Mul", [real, gate]), g.const(np.float32(6))]), 0.03, 4 if kind == "int8" else 100, kind)
            yield "HardSwish as Clip", hard_swish
            slopes = g.const(np.float32([[[0.2]], [[-0.1]], [[0.7]]]))
            yield "PRelu", lambda: g.quantise(g.op("PRelu", [x.real(), slopes]), 0.03, 0 if kind == "int8" else 128, kind)
            yield "Q after DQ: other scale", lambda: g.quantise(x.real(), 0.05, 9 if kind == "int8" else 140, kind)
            yield "Q after DQ: other type", lambda: g.quantise(x.real(), 0.02, 9 if kind == "uint8" else 140, "uint8" if kind == "int8" else "int8")
        yield f"unary-{kind}", build

    def build(g):
        x = g.activation((1, 3, 4, 7))
        for approximate in ("none", "tanh"):
            yield f"Gelu {approximate}", lambda a=approximate: g.quantise(g.op("Gelu", [x.real()], approximate=a), 0.03, 4)
        yield "Mish", lambda: g.quantise(g.op("Mish", [x.real()]), 0.03, 4)
    yield "unary-opset20", build, 20


def pools():
    windows = [{"kernel_shape": [2, 2], "strides": [2, 2]}, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
               {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]},
               {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1},
               {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1},
               {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
               {"kernel_shape": [2, 2], "auto_pad": "SAME_LOWER"}, {"kernel_shape": [8, 7]}, {"kernel_shape": [1, 1]}]
    for kind in ("int8", "uint8"):
        def build(g, kind=kind):
            x = g.activation((1, 5, 8, 7), kind=kind)
            def average(op="AveragePool", same=False, act=None, **how):
                real = activate(g, g.op(op, [x.real()], **how), act)
                return g.quantise(real, x.scale, x.zero, kind) if same else g.quantise(real, 0.017, 9 if kind == "int8" else 120, kind)
            for how in windows:
                for count in (0, 1) if "pads" in how or "auto_pad" in how else (None,):
                    yield f"AveragePool {how} count_include_pad {count}", lambda how=how, count=count: average(count_include_pad=count, **how)
            yield "AveragePool, same scale", lambda: average(same=True, **windows[0])
            yield "AveragePool and Relu", lambda: average(act="Relu", **windows[1])
            yield "GlobalAveragePool", lambda: average("GlobalAveragePool")
            yield "GlobalAveragePool, same scale", lambda: average("GlobalAveragePool", same=True)
            yield "ReduceMean", lambda: average("ReduceMean", axes=[2, 3], keepdims=1)
            yield "ReduceMean without the axes", lambda: average("ReduceMean", axes=[2, 3], keepdims=0)
            yield "ReduceMean, negative axes", lambda: average("ReduceMean", axes=[-1, -2], keepdims=1)
            yield "ReduceMean of rows", lambda: average("ReduceMean", axes=[2], keepdims=1)
            yield "ReduceMean of channels", lambda: average("ReduceMean", axes=[1], keepdims=1)
        yield f"average-pool-{kind}", build

        def build(g, kind=kind):
            x = g.activation((1, 5, 8, 7), kind=kind)
            for how in windows + [{"kernel_shape": [2, 3], "dilations": [2, 2]}]:
                yield f"MaxPool {how}", lambda how=how: g.quantise(g.op("MaxPool", [x.real()], **how), x.scale, x.zero, kind)
            yield "MaxPool, other scale", lambda: g.quantise(g.op("MaxPool", [x.real()], **windows[0]), 0.02, x.zero, kind)
            yield "GlobalMaxPool", lambda: g.quantise(g.op("GlobalMaxPool", [x.real()]), x.scale, x.zero, kind)
            yield "ReduceMax", lambda: g.quantise(g.op("ReduceMax", [x.real()], axes=[2, 3], keepdims=1), x.scale, x.zero, kind)
        yield f"max-pool-{kind}", build


def concat():
    for kind in ("int8", "uint8"):
        def build(g, kind=kind):
            zero = 3 if kind == "int8" else 131
            def parts(axis, scales=(0.031, 0.05, 0.02), zeros=(-3, 9, 40)):
                shapes = [[2, 4, 3, 5] for _ in scales]
                for i, s in enumerate(shapes):
                    s[axis] = 2 + i
                return [g.activation(tuple(s), kind, scale, z).real() for s, scale, z in zip(shapes, scales, zeros)]
            for axis in (1, 2, 3, 0, -1):
                yield f"axis {axis}", lambda axis=axis: g.quantise(g.op("Concat", parts(axis), axis=axis), 0.04, zero, kind)
            same = -3 if kind == "int8" else 125
            yield "same quantisation", lambda: g.quantise(
                g.op("Concat", parts(1, (0.031,) * 2, (-3,) * 2), axis=1), 0.031, same, kind)
            yield "one operand", lambda: g.quantise(g.op("Concat", parts(1, (0.031,), (-3,)), axis=1), 0.04, zero, kind)
            yield "Relu", lambda: g.quantise(g.op("Relu", [g.op("Concat", parts(1), axis=1)]), 0.03, zero, kind)
            yield "constant operand", lambda: g.quantise(
                g.op("Concat", parts(1) + [g.real_weights((2, 3, 3, 5), scale=0.02)[0]], axis=1), 0.04, zero, kind)
            def twice():
                x = parts(1, (0.031,), (-3,))[0]
                return g.quantise(g.op("Concat", [x, x], axis=1), 0.04, zero, kind)
            yield "operand twice", twice
            def branches():
                x = g.activation((1, 4, 4, 5), kind)
                a, b = conv(g, x, 4, 3, (1, 1), kind=kind), conv(g, x, 4, 7, (3, 3), kind=kind, pads=[1, 1, 1, 1])
                joined = g.quantise(g.op("Concat", [a.real(), b.real(), x.real()], axis=1), b.scale, zero, kind)
                return conv(g, joined, 14, 3, (1, 1), kind=kind)
            yield "branches", branches
        yield f"concat-{kind}", build


def softmax():
    def build(g):
        x, m, v = g.activation((2, 3, 4, 5)), g.activation((2, 3, 7), kind="uint8"), g.activation((2, 10))
        for axis in (1, 2, 3, -1, 0):
            yield f"axis {axis}", lambda axis=axis: g.quantise(g.op("Softmax", [x.real()], axis=axis), 1 / 256, -128)
        for axis in (1, 2):
            yield f"uint8, axis {axis}", lambda axis=axis: g.quantise(g.op("Softmax", [m.real()], axis=axis), 1 / 255, 0, "uint8")
        yield "classes", lambda: g.quantise(g.op("Softmax", [v.real()]), 1 / 256, -128)
        yield "floats out", lambda: g.op("Softmax", [v.real()])
        yield "LogSoftmax", lambda: g.quantise(g.op("LogSoftmax", [v.real()]), 0.06, 127)
    yield "softmax", build

    def build(g):
        x = g.activation((2, 3, 4, 5))
        for axis in (1, 2):
            yield f"axis {axis} and those behind it", lambda axis=axis: g.quantise(g.op("Softmax", [x.real()], axis=axis), 1 / 256, -128)
    yield "softmax-opset11", build, 11


FAMILIES = [broadcasts, residual, unary, pools, concat, softmax]
