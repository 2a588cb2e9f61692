"""Operators that move values or make new ones between them: Resize, Pad, shapes, indices."""
import numpy as np

from .layers import conv


def resize():
    whole, half, mixed = (2.0, 2.0), (0.5, 0.5), (1.5, 2.3)
    for mode in ("nearest", "linear"):
        def build(g, mode=mode):
            x = g.activation((1, 2, 4, 5), kind="int8" if mode == "nearest" else "uint8")
            def scaled(transformation, rounding, scales=None, sizes=None, same=mode == "nearest"):
                operands = [x.real(), ""]
                if transformation == "tf_crop_and_resize":
                    operands[1] = g.const(np.float32([0, 0, 0.1, 0.2, 1, 1, 0.8, 0.9]))
                if scales:
                    operands.append(g.const(np.float32((1, 1, *scales))))
                else:
                    operands += ["", g.const(np.int64((1, 2, *sizes)))]
                real = g.op("Resize", operands, mode=mode, coordinate_transformation_mode=transformation, nearest_mode=rounding)
                return g.quantise(real, x.scale, x.zero, x.kind) if same else g.quantise(real, 0.027, 11 if x.kind == "int8" else 120, x.kind)
            roundings = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil") if mode == "nearest" else (None,)
            for transformation in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"):
                for rounding in roundings:
                    yield f"{transformation} {rounding or ''} {mixed}", lambda t=transformation, r=rounding: scaled(t, r, mixed)
                yield f"{transformation} {whole}", lambda t=transformation: scaled(t, None, whole)
                yield f"{transformation} {half}", lambda t=transformation: scaled(t, None, half)
                yield f"{transformation} to 7 × 3", lambda t=transformation: scaled(t, None, sizes=(7, 3))
            yield "tf_crop_and_resize", lambda: scaled("tf_crop_and_resize", None, sizes=(6, 6))
            yield "asymmetric floor 3", lambda: scaled("asymmetric", "floor" if mode == "nearest" else None, (3.0, 3.0))
            yield "same quantisation" if mode == "linear" else "other quantisation", lambda: scaled("half_pixel", None, whole, same=mode == "linear")
            yield "one row only", lambda: scaled("half_pixel", None, sizes=(4, 9))
        yield f"resize-{mode}", build

    def build(g):
        x = g.activation((1, 3, 4, 5))
        for mode in ("nearest", "linear"):
            yield mode, lambda mode=mode: g.quantise(g.op("Resize", [
                x.real(), g.const(np.zeros(0, np.float32)), g.const(np.float32((1, 1, 2, 1.5)))], mode=mode,
                coordinate_transformation_mode="tf_half_pixel_for_nn" if mode == "nearest" else "half_pixel"), 0.031, -3)
    yield "resize-opset11", build, 11


def pad():
    def build(g):
        x = g.activation((1, 3, 3, 4))
        u = g.activation((1, 3, 3, 4), kind="uint8")
        def padded(t, pads, mode="constant", value=None):
            operands = [t.real(), g.const(np.int64(pads))] + ([] if value is None else [g.const(np.float32(value))])
            return g.quantise(g.op("Pad", operands, mode=mode), t.scale, t.zero, t.kind)
        for name, t in (("int8", x), ("uint8", u)):
            yield f"{name}: picture", lambda t=t: padded(t, [0, 0, 1, 2, 0, 0, 0, 1])
            yield f"{name}: channels", lambda t=t: padded(t, [0, 2, 0, 0, 0, 1, 0, 0], value=0.0)
            yield f"{name}: with 1.3", lambda t=t: padded(t, [0, 0, 1, 1, 0, 0, 1, 1], value=1.3)
            yield f"{name}: with what saturates", lambda t=t: padded(t, [0, 0, 1, 1, 0, 0, 1, 1], value=-100.0)
            yield f"{name}: edge", lambda t=t: padded(t, [0, 0, 1, 1, 0, 0, 2, 1], "edge")
            yield f"{name}: reflect", lambda t=t: padded(t, [0, 0, 2, 1, 0, 0, 1, 2], "reflect")
        def before_conv():
            y = padded(x, [0, 0, 0, 0, 0, 0, 1, 1])
            return conv(g, y, 3, 4, (3, 3), strides=[2, 2])
        yield "before a Conv", before_conv
        def float_before_conv():
            real = g.op("Pad", [x.real(), g.const(np.int64([0, 0, 1, 1, 0, 0, 1, 1]))])
            return g.quantise(g.op("Conv", [real, g.real_weights((4, 3, 3, 3), 0)[0]]), 0.05, 4)
        yield "in one sandwich with a Conv", float_before_conv
    yield "pad", build

    def build(g):
        x = g.activation((1, 3, 3, 4))
        for pads in ([0, 0, -1, 0, 0, 0, 1, -2], [0, -1, 0, 0, 0, 0, 0, 0]):
            real = lambda pads=pads: g.op("Pad", [x.real(), g.const(np.int64(pads))])
            yield f"{pads}", lambda real=real: g.quantise(real(), x.scale, x.zero)
    yield "pad-negative", build


def shapes():
    def ints(g, *values):
        return g.const(np.int64(values))

    for kind in ("int8", "uint8"):
        def build(g, kind=kind):
            x = g.activation((2, 6, 3, 4), kind)
            def keep(real):
                return g.quantise(real, x.scale, x.zero, kind)
            yield "Reshape", lambda: keep(g.op("Reshape", [x.real(), ints(g, 2, -1)]))
            yield "Reshape with 0", lambda: keep(g.op("Reshape", [x.real(), ints(g, 0, 3, 2, 12)]))
            yield "Flatten", lambda: keep(g.op("Flatten", [x.real()], axis=1))
            yield "Flatten axis 3", lambda: keep(g.op("Flatten", [x.real()], axis=3))
            yield "Squeeze", lambda: keep(g.op("Squeeze", [g.op("Unsqueeze", [x.real(), ints(g, 1)]), ints(g, 1)]))
            yield "Unsqueeze", lambda: keep(g.op("Unsqueeze", [x.real(), ints(g, 0, 3)]))
            for perm in ((0, 2, 3, 1), (0, 3, 1, 2), (0, 1, 3, 2), (1, 0, 2, 3), (3, 2, 1, 0)):
                yield f"Transpose {perm}", lambda perm=perm: keep(g.op("Transpose", [x.real()], perm=list(perm)))
            for start, end, axis, step in ((1, 4, 1, 1), (0, 6, 1, 2), (1, 6, 1, 2), (-2, 100, 2, 1), (1, 4, 3, 2), (2, -100, 2, -1)):
                yield f"Slice {start}:{end}:{step} axis {axis}", lambda s=start, e=end, a=axis, p=step: keep(
                    g.op("Slice", [x.real(), ints(g, s), ints(g, e), ints(g, a), ints(g, p)]))
            yield "Slice of two axes", lambda: keep(g.op("Slice", [x.real(), ints(g, 1, 1), ints(g, 3, 3), ints(g, 2, 3)]))
            def split(sizes, take, axis=1):
                operands = [x.real()] + ([ints(g, *sizes)] if len(set(sizes)) > 1 else [])
                parts = g.op("Split", operands, outputs=len(sizes), axis=axis)
                return keep(parts[take])
            yield "Split, first half", lambda: split((3, 3), 0)
            yield "Split, second half", lambda: split((3, 3), 1)
            yield "Split, uneven", lambda: split((1, 3, 2), 1)
            yield "Split of columns", lambda: split((1, 3), 1, axis=3)
            shuffle = [0, 3, 1, 4, 2, 5]
            yield "Gather: channel shuffle", lambda: keep(g.op("Gather", [x.real(), ints(g, *shuffle)], axis=1))
            yield "Gather: negative index", lambda: keep(g.op("Gather", [x.real(), ints(g, -1, 0)], axis=2))
            yield "Gather: one index", lambda: keep(g.op("Gather", [x.real(), g.const(np.int64(2))], axis=1))
            yield "DepthToSpace", lambda: keep(g.op("DepthToSpace", [g.op("Slice", [x.real(), ints(g, 0), ints(g, 4), ints(g, 1)])], blocksize=2))
            yield "SpaceToDepth", lambda: keep(g.op("SpaceToDepth", [g.op("Slice", [x.real(), ints(g, 0), ints(g, 2), ints(g, 2)])], blocksize=2))
            yield "Expand", lambda: keep(g.op("Expand", [g.op("Slice", [x.real(), ints(g, 0), ints(g, 1), ints(g, 1)]), ints(g, 2, 3, 3, 4)]))
        yield f"shapes-{kind}", build

    def build(g):
        # As exporters write them: the operator between conversions, layers on both sides.
        x = g.activation((1, 6, 4, 4))
        first = conv(g, x, 6, 6, (1, 1))
        def between(real, channels=6, kernel=(1, 1)):
            return conv(g, g.quantise(real, first.scale, first.zero), channels, 4, kernel)
        def shuffle():
            real = g.op("Reshape", [first.real(), ints(g, 1, 2, 3, 4, 4)])
            real = g.op("Transpose", [real], perm=[0, 2, 1, 3, 4])
            return between(g.op("Reshape", [real, ints(g, 1, 6, 4, 4)]))
        yield "channel shuffle by Reshape and Transpose", shuffle
        yield "channel shuffle by Gather", lambda: between(g.op("Gather", [first.real(), ints(g, 0, 3, 1, 4, 2, 5)], axis=1))
        def halves():
            a, b = g.op("Split", [first.real()], outputs=2, axis=1)
            y = conv(g, g.quantise(b, first.scale, first.zero), 3, 3, (3, 3), group=3, pads=[1, 1, 1, 1])
            return g.quantise(g.op("Concat", [a, y.real()], axis=1), first.scale, 3)
        yield "Split, layer on one half, Concat", halves
        yield "every second channel", lambda: between(g.op("Slice", [first.real(), ints(g, 1), ints(g, 6), ints(g, 1), ints(g, 2)]), 3)
        def flat():
            flat = g.quantise(g.op("Flatten", [first.real()]), first.scale, first.zero)
            return g.quantise(g.op("Gemm", [flat.real(), g.real_weights((5, 96), 0)[0]], transB=1), 0.3, 2)
        yield "Flatten before Gemm", flat
        def from_nhwc():
            nhwc = g.activation((1, 4, 4, 3), source="int8")
            real = g.op("Transpose", [nhwc.real()], perm=[0, 3, 1, 2])
            y = conv(g, g.quantise(real, nhwc.scale, nhwc.zero), 3, 5, (3, 3))
            return g.quantise(g.op("Transpose", [y.real()], perm=[0, 2, 3, 1]), y.scale, y.zero)
        yield "NHWC in and out", from_nhwc
    yield "shapes-between-layers", build


FAMILIES = [resize, pad, shapes]
