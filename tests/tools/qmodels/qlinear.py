"""QLinear operators: those of ONNX, and those of ONNX Runtime's own domain."""
import numpy as np

from .graph import Tensor
from .pattern import KIND

MS = "com.microsoft"


def result(g, op, operands, scale, zero, kind, domain="", **attributes):
    return Tensor(g, g.op(op, operands, domain=domain, **attributes), scale, zero, kind)


def quant(g, scale, zero, kind):
    return [g.const(np.float32(scale)), g.const(KIND[kind](zero))]


def layers():
    for kind in ("int8", "uint8"):
        def build(g, kind=kind):
            zero = 5 if kind == "int8" else 131
            x = g.activation((1, 4, 7, 6), kind, source=kind)
            def conv(out, kernel, group=1, axis=0, w=None, bias=True, **attributes):
                weights, scales, zeros = g.weights((out, 4 // group, *kernel), axis, **(w or {}))
                scale = 0.3 * np.sqrt(4 // group * kernel[0] * kernel[1]) * 0.15
                operands = x.operands() + [g.const(weights), g.const(scales), g.const(zeros), *quant(g, scale, zero, kind)]
                if bias:
                    operands.append(g.const(g.rng.integers(-3000, 3000, out).astype(np.int32)))
                return result(g, "QLinearConv", operands, scale, zero, kind, group=group, **attributes)
            yield "3 × 3", lambda: conv(5, (3, 3), pads=[1, 1, 1, 1])
            yield "per tensor, no bias", lambda: conv(5, (3, 3), axis=None, bias=False)
            yield "stride, asymmetric pads", lambda: conv(5, (3, 3), strides=[2, 2], pads=[0, 0, 1, 1])
            yield "SAME_UPPER", lambda: conv(5, (3, 3), strides=[2, 2], auto_pad="SAME_UPPER")
            yield "dilated", lambda: conv(5, (3, 2), dilations=[2, 2])
            yield "groups", lambda: conv(6, (3, 3), group=2)
            yield "depthwise", lambda: conv(4, (3, 3), group=4, pads=[1, 1, 1, 1])
            yield "depthwise 5 × 5, stride", lambda: conv(4, (5, 5), group=4, pads=[2, 2, 2, 2], strides=[2, 2])
            yield "depthwise, two for one", lambda: conv(8, (3, 3), group=4)
            yield "1 × 1", lambda: conv(7, (1, 1))
            if kind == "uint8":
                yield "uint8 weights", lambda: conv(5, (3, 3), axis=None, w={"kind": "uint8", "zero": 128})
                yield "uint8 weights, asymmetric", lambda: conv(5, (3, 3), axis=None, w={"kind": "uint8", "zero": 117})
        yield f"qlinear-conv-{kind}", build

        def build(g, kind=kind):
            zero = 5 if kind == "int8" else 131
            def matmul(shape, k, n, w=None):
                x = g.activation(shape, kind, source=kind)
                weights, scale, zeros = g.weights((k, n), **(w or {}))
                out = float(x.scale * scale * 74 * 74 * np.sqrt(k) * 3 / 127)
                operands = x.operands() + [g.const(weights), g.const(scale), g.const(zeros), *quant(g, out, zero, kind)]
                return result(g, "QLinearMatMul", operands, out, zero, kind)
            yield "2-D", lambda: matmul((3, 17), 17, 9)
            yield "3-D", lambda: matmul((2, 3, 17), 17, 9)
            yield "one row", lambda: matmul((1, 33), 33, 20)
            if kind == "uint8":
                yield "uint8 weights", lambda: matmul((3, 17), 17, 9, {"kind": "uint8", "zero": 117})
        yield f"qlinear-matmul-{kind}", build

        def build(g, kind=kind):
            zero = 5 if kind == "int8" else 131
            def gemm(trans=1, alpha=1.0, bias=True, axis=None):
                x = g.activation((3, 17), kind, source=kind)
                weights, scales, zeros = g.weights((9, 17) if trans else (17, 9), axis)
                out = float(x.scale * 0.01 * 74 * 74 * 4 * 3 / 127)
                operands = x.operands() + [g.const(weights), g.const(scales), g.const(zeros)]
                operands.append(g.const(g.rng.integers(-3000, 3000, 9).astype(np.int32)) if bias else "")
                return result(g, "QGemm", operands + quant(g, out, zero, kind), out, zero, kind, MS, transB=trans, alpha=alpha)
            yield "QGemm", gemm
            yield "QGemm, not transposed", lambda: gemm(0)
            yield "QGemm, per channel", lambda: gemm(axis=0)
            yield "QGemm, alpha", lambda: gemm(alpha=0.5)
            yield "QGemm, no bias", lambda: gemm(bias=False)
        yield f"qlinear-gemm-{kind}", build


def contributed():
    for kind in ("int8", "uint8"):
        def build(g, kind=kind):
            zero = 5 if kind == "int8" else 131
            x = g.activation((1, 4, 5, 3), kind, source=kind)
            y = g.activation((1, 4, 5, 3), kind, 0.017, 30, source=kind)
            gate = g.activation((1, 4, 1, 1), kind, 1 / 256, -128, source=kind)
            for op, scale in (("QLinearAdd", 0.05), ("QLinearMul", 0.06)):
                def both(a, b, op=op, scale=scale):
                    return result(g, op, a.operands() + b.operands() + quant(g, scale, zero, kind), scale, zero, kind, MS)
                yield op, lambda both=both: both(x, y)
                yield f"{op}, itself", lambda both=both: both(x, x)
                yield f"{op}, gate", lambda both=both: both(x, gate)
                constant = Tensor(g, g.const(g.weights((4, 1, 1), kind=kind)[0]), 0.011, zero, kind)
                yield f"{op}, constant for each channel", lambda both=both, c=constant: both(x, c)
                scalar = Tensor(g, g.const(g.weights((), kind=kind)[0]), 0.009, zero, kind)
                yield f"{op}, scalar constant", lambda both=both, c=scalar: both(c, x)
            def pool(op, scale=0.02, **attributes):
                return result(g, op, x.operands() + quant(g, scale, zero, kind), scale, zero, kind, MS, **attributes)
            yield "QLinearGlobalAveragePool", lambda: pool("QLinearGlobalAveragePool", channels_last=0)
            yield "QLinearAveragePool", lambda: pool("QLinearAveragePool", kernel_shape=[2, 2], strides=[2, 2])
            for count in (0, 1):
                yield f"QLinearAveragePool, pads, count {count}", lambda count=count: pool(
                    "QLinearAveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2], count_include_pad=count)
            low = -128 if kind == "int8" else 0
            yield "QLinearSigmoid", lambda: result(g, "QLinearSigmoid", x.operands() + quant(g, 1 / 256, low, kind), 1 / 256, low, kind, MS)
            yield "QLinearLeakyRelu", lambda: result(
                g, "QLinearLeakyRelu", x.operands() + quant(g, 0.03, zero, kind), 0.03, zero, kind, MS, alpha=0.1)
            def concat(axis, tensors):
                operands = [o for t in tensors for o in t.operands()]
                return result(g, "QLinearConcat", quant(g, 0.03, zero, kind) + operands, 0.03, zero, kind, MS, axis=axis)
            yield "QLinearConcat", lambda: concat(1, [x, y, x])
            yield "QLinearConcat of rows", lambda: concat(2, [x, y])
            logits = g.activation((3, 10), kind, source=kind)
            yield "QLinearSoftmax", lambda: result(
                g, "QLinearSoftmax", logits.operands() + quant(g, 1 / 256, low, kind), 1 / 256, low, kind, MS, axis=-1, opset=13)
        yield f"qlinear-contributed-{kind}", build


FAMILIES = [layers, contributed]
