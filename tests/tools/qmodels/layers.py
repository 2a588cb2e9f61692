"""Convolutions and products between DequantizeLinear and QuantizeLinear."""
import numpy as np


# For layers whose sums are of random bytes: a standard deviation is some 74 steps.
SPREAD = 74 * 74


def activate(g, real, act):
    """A float activation on a name."""
    if act is None:
        return real
    if act == "Relu6":
        return g.op("Clip", [real, g.const(np.float32(0)), g.const(np.float32(6))])
    if isinstance(act, tuple) and act[0] == "Clip":
        bounds = [g.const(np.float32(v)) if v is not None else "" for v in act[1:]]
        while bounds and bounds[-1] == "":
            bounds.pop()
        return g.op("Clip", [real, *bounds])
    if isinstance(act, tuple):
        return g.op(act[0], [real], **act[1])
    return g.op(act, [real])


def conv(g, x, channels, out, kernel, group=1, kind="int8", zero=None, per_channel=True, bias="int32", act=None, w=None, **attributes):
    """DequantizeLinear, Conv, activation, QuantizeLinear."""
    shape = (out, channels // group, *kernel)
    weights, scales = g.real_weights(shape, 0 if per_channel else None, **(w or {}))
    inputs = [x.real(), weights] + g.bias(out, x.scale * scales, bias)
    real = g.op("Conv", inputs, kernel_shape=list(kernel), group=group if group > 1 else None, **attributes)
    terms = int(np.prod(shape[1:]))
    scale = float(x.scale * np.mean(scales) * SPREAD * np.sqrt(terms) * 3 / 127)
    if act in ("Sigmoid", "Tanh") or isinstance(act, tuple) and act[0] == "HardSigmoid":
        scale = 1 / 128
    if zero is None:
        zero = 5 if kind == "int8" else 131
    return g.quantise(activate(g, real, act), scale, zero, kind)


def conv_grid():
    """Convolutions: groups × dilations, each with all strides and paddings."""
    pads = [{}, {"pads": [1, 1, 1, 1]}, {"pads": [0, 1, 2, 1]}, {"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER"},
            {"auto_pad": "VALID"}]
    for group, name in ((1, "plain"), (2, "groups"), (4, "depthwise")):
        for dilation in (1, 2):
            def build(g, group=group, dilation=dilation):
                x = g.activation((1, 4, 8, 7), kind="int8" if dilation == 1 else "uint8")
                for strides in ((1, 1), (2, 2), (2, 1)):
                    # ONNX Runtime refuses SAME with dilation.
                    for pad in pads if dilation == 1 else pads[:3]:
                        yield (f"strides {strides} {pad}", lambda strides=strides, pad=pad: conv(
                            g, x, 4, 4 if group == 4 else 6, (3, 3), group, x.kind, strides=list(strides),
                            dilations=[dilation] * 2, **pad))
            yield f"conv-{name}-dilation{dilation}", build


def conv_kernels():
    def build(g):
        x = g.activation((1, 6, 7, 8))
        for kernel, more in [((1, 1), {}), ((1, 1), {"strides": [2, 2]}), ((5, 5), {"pads": [2, 2, 2, 2]}), ((1, 3), {}),
                             ((3, 1), {"pads": [1, 0, 1, 0]}), ((2, 2), {"strides": [2, 2]}), ((2, 4), {"pads": [0, 1, 1, 2]})]:
            yield f"kernel {kernel} {more}", lambda kernel=kernel, more=more: conv(g, x, 6, 5, kernel, **more)
        for kernel, out, more in [((5, 5), 6, {"pads": [2, 2, 2, 2]}), ((5, 5), 6, {"pads": [1, 1, 2, 2], "strides": [2, 2]}),
                                  ((7, 7), 6, {"pads": [3, 3, 3, 3]}), ((3, 3), 12, {"pads": [1, 1, 1, 1]}),
                                  ((7, 8), 6, {}), ((1, 1), 6, {})]:
            yield f"depthwise {kernel} to {out} {more}", lambda kernel=kernel, out=out, more=more: conv(
                g, x, 6, out, kernel, group=6, **more)
    yield "conv-kernels", build

    def build(g):
        x = g.activation((1, 1, 6, 6), kind="uint8")
        yield "one channel in", lambda: conv(g, x, 1, 19, (3, 3))
        yield "one channel in, one out", lambda: conv(g, x, 1, 1, (3, 3), strides=[3, 2])
        deep = g.activation((1, 19, 1, 1), scale=0.02)
        yield "one pixel", lambda: conv(g, deep, 19, 21, (1, 1))
        yield "one pixel, padded", lambda: conv(g, deep, 19, 3, (3, 3), pads=[1, 1, 1, 1])
    yield "conv-odd-channels", build

    def build(g):
        x = g.activation((2, 4, 11))
        for group, out in ((1, 3), (2, 6), (4, 4), (4, 8)):
            for more in ({}, {"strides": [2], "pads": [1, 0]}, {"dilations": [2], "pads": [2, 2]}, {"auto_pad": "SAME_UPPER", "strides": [2]}):
                yield f"group {group} {more}", lambda group=group, out=out, more=more: conv(g, x, 4, out, (3,), group, **more)
    yield "conv-1d", build


def conv_weights():
    for kind in ("int8", "uint8"):
        def build(g, kind=kind):
            x = g.activation((1, 5, 6, 5), kind=kind)
            for per_channel in (False, True):
                for w in ({}, {"kind": "uint8", "zero": 128}, {"kind": "uint8", "zero": 117}, {"zero": 4}):
                    for bias in (None, "int32", "float"):
                        yield f"per channel {per_channel} weights {w} bias {bias}", lambda per_channel=per_channel, w=w, bias=bias: conv(
                            g, x, 5, 3, (3, 2), kind=kind, per_channel=per_channel, w=w, bias=bias)
        yield f"conv-weights-{kind}", build

    def build(g):
        # The result's type and the operand's differ; ends of the range as zero points; scales that saturate or vanish.
        x = g.activation((1, 5, 6, 5), kind="uint8", zero=-128)
        y = g.activation((1, 5, 6, 5), kind="int8", zero=-128)
        for name, t in (("uint8", x), ("int8", y)):
            for kind, zero in (("int8", -128), ("int8", 127), ("uint8", 0), ("uint8", 255)):
                yield f"{name} to {kind} zero point {zero}", lambda t=t, kind=kind, zero=zero: conv(
                    g, t, 5, 3, (3, 3), kind=kind, zero=zero, pads=[1, 1, 1, 1])
        for scale in (1e-6, 0.2):
            yield f"weights times {scale}", lambda scale=scale: g.quantise(
                g.op("Conv", [x.real(), g.real_weights((3, 5, 1, 1), 0, scale=scale)[0]]), 0.05, 3)
    yield "conv-types", build


ACTIVATIONS = ["Relu", "Relu6", ("Clip", -1, 1), ("Clip", 0.3), ("Clip", None, 1.5), ("LeakyRelu", {"alpha": 0.1}), "HardSwish",
               ("HardSigmoid", {"alpha": 0.2}), ("HardSigmoid", {"alpha": 1 / 6}), "Sigmoid", "Tanh", ("Elu", {"alpha": 0.7})]


def conv_activations():
    for kind in ("int8", "uint8"):
        def build(g, kind=kind):
            x = g.activation((1, 4, 5, 5), kind=kind)
            for act in ACTIVATIONS:
                yield f"{act}", lambda act=act: conv(g, x, 4, 3, (3, 3), kind=kind, act=act, w={"scale": 0.001})
        yield f"conv-activations-{kind}", build


def gemm(g, x, k, n, per_channel=False, bias="int32", act=None, kind="int8", w=None, **attributes):
    trans = attributes.get("transB", 0)
    axis = (0 if trans else 1) if per_channel else None
    weights, scales = g.real_weights((n, k) if trans else (k, n), axis, **(w or {}))
    inputs = [x.real(), weights] + g.bias(n, x.scale * scales, bias)
    real = activate(g, g.op("Gemm", inputs, **attributes), act)
    scale = float(x.scale * np.mean(scales) * SPREAD * np.sqrt(k) * 3 / 127 * abs(attributes.get("alpha", 1)))
    return g.quantise(real, scale, 5 if kind == "int8" else 125, kind)


def products():
    for kind in ("int8", "uint8"):
        def build(g, kind=kind):
            x = g.activation((3, 21), kind=kind)
            for trans in (0, 1):
                for per_channel in (False, True):
                    for bias in (None, "int32", "float"):
                        yield f"transB {trans} per channel {per_channel} bias {bias}", lambda trans=trans, per_channel=per_channel, bias=bias: gemm(
                            g, x, 21, 10, per_channel, bias, kind=kind, transB=trans)
            yield "alpha", lambda: gemm(g, x, 21, 7, kind=kind, alpha=0.5)
            yield "negative alpha", lambda: gemm(g, x, 21, 7, True, kind=kind, alpha=-0.7, transB=1)
            yield "beta", lambda: gemm(g, x, 21, 7, bias="float", kind=kind, beta=2.0)
            yield "alpha and beta", lambda: gemm(g, x, 21, 7, kind=kind, alpha=0.6, beta=0.3, transB=1)
            yield "Relu", lambda: gemm(g, x, 21, 7, kind=kind, act="Relu")
            yield "asymmetric weights", lambda: gemm(g, x, 21, 7, kind=kind, w={"kind": "uint8", "zero": 117})
            x2 = g.activation((21, 3), kind=kind)
            yield "transA", lambda: gemm(g, x2, 21, 7, kind=kind, transA=1)
            def full_bias():
                weights, scales = g.real_weights((21, 6))
                c = g.const(g.rng.uniform(-3, 3, (3, 6)).astype(np.float32))
                return g.quantise(g.op("Gemm", [x.real(), weights, c]), 0.3, 2 if kind == "int8" else 120, kind)
            yield "bias for every element", full_bias
        yield f"gemm-{kind}", build

    def build(g):
        def matmul(x, k, shape, axis=None, add=False, act=None):
            weights, scales = g.real_weights(shape, axis)
            real = g.op("MatMul", [x.real(), weights])
            if add:
                real = g.op("Add", [real, g.const(g.rng.uniform(-3, 3, shape[-1]).astype(np.float32))])
            return g.quantise(activate(g, real, act), float(x.scale * 0.01 * SPREAD * np.sqrt(k) * 3 / 127), 5)
        two, three, four = g.activation((2, 13)), g.activation((2, 3, 13)), g.activation((1, 2, 3, 13), scale=0.04, zero=17)
        for name, x in (("2-D", two), ("3-D", three), ("4-D", four)):
            yield f"{name}", lambda x=x: matmul(x, 13, (13, 9))
            yield f"{name} per column", lambda x=x: matmul(x, 13, (13, 9), 1)
            yield f"{name} with Add and Relu", lambda x=x: matmul(x, 13, (13, 9), add=True, act="Relu")
        yield "vector of weights", lambda: matmul(three, 13, (13,))
        yield "one matrix for each item", lambda: matmul(three, 13, (2, 13, 5))
        yield "two activations", lambda: g.quantise(g.op("MatMul", [three.real(), g.op("Transpose", [three.real()], perm=[0, 2, 1])]), 0.4, 3)
    yield "matmul", build


FAMILIES = [conv_grid, conv_kernels, conv_weights, conv_activations, products]
