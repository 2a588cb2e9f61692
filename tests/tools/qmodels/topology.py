"""How partitions lie in a graph: borders, consumers, outputs, types; each a model of its own."""
import numpy as np

from .graph import Tensor
from .layers import conv, gemm


def float_middle(g):
    """Two partitions with float operators between that no integer operator stands for."""
    x = g.activation((1, 3, 6, 6))
    y = conv(g, x, 3, 4, (3, 3), act="Relu")
    real = g.op("LayerNormalization", [y.real(), g.const(g.rng.uniform(0.5, 2, 4).astype(np.float32))], axis=-1)
    real = g.op("Sin", [real])
    z = conv(g, g.quantise(real, 0.009, 2), 4, 3, (3, 3))
    return [z.bytes]


def two_consumers(g):
    x = g.activation((1, 3, 6, 6))
    y = conv(g, x, 3, 4, (1, 1))
    a, b = conv(g, y, 4, 3, (3, 3)), conv(g, y, 4, 3, (3, 3), act="Relu")
    return [g.quantise(g.op("Add", [a.real(), b.real()]), a.scale * 1.3, 4).bytes]


def consumer_outside(g):
    """A QDQ pattern whose quantised result is also read as floats by an operator outside."""
    x = g.activation((1, 3, 6, 6))
    y = conv(g, x, 3, 4, (3, 3))
    z = conv(g, y, 4, 3, (3, 3))
    return [z.bytes, g.op("Cos", [y.real()])]


def float_of_the_layer_is_read(g):
    """The layer's floats go to QuantizeLinear and elsewhere: they have to exist."""
    x = g.activation((1, 3, 6, 6))
    weights, _ = g.real_weights((4, 3, 3, 3), 0)
    real = g.op("Conv", [x.real(), weights])
    y = g.quantise(real, 0.11, 3)
    return [conv(g, y, 4, 3, (3, 3)).bytes, g.op("Tanh", [real])]


def output_in_the_middle(g):
    x = g.activation((1, 3, 6, 6))
    y = conv(g, x, 3, 4, (3, 3))
    z = conv(g, y, 4, 3, (3, 3))
    return [z.bytes, y.bytes]


def float_outputs(g):
    x = g.activation((1, 3, 6, 6))
    y = conv(g, x, 3, 4, (3, 3))
    z = conv(g, y, 4, 3, (3, 3), act="Sigmoid", w={"scale": 0.002})
    return [z.real(), y.real()]


def layer_to_floats(g):
    """No QuantizeLinear behind the last layer, as classifiers often end."""
    x = g.activation((1, 3, 6, 6))
    y = conv(g, x, 3, 4, (3, 3), act="Relu")
    flat = g.quantise(g.op("Flatten", [y.real()]), y.scale, y.zero)
    weights, scales = g.real_weights((5, 64), 0)
    return [g.op("Gemm", [flat.real(), weights] + g.bias(5, flat.scale * scales, "int32"), transB=1)]


def bytes_in(g):
    x = g.activation((1, 3, 6, 6), source="int8")
    return [conv(g, x, 3, 4, (3, 3)).bytes]


def uint8_in_int8_inside(g):
    """What Keras exports put at the input: uint8 bytes, dequantised and quantised again as int8."""
    x = g.activation((1, 6, 6, 3), kind="uint8", scale=1 / 127.5, zero=-1, source="uint8")
    y = g.quantise(g.op("Transpose", [x.real()], perm=[0, 3, 1, 2]), 1 / 127.5, -1)
    return [conv(g, y, 3, 4, (3, 3)).bytes]


def two_inputs(g):
    x, y = g.activation((1, 3, 4, 4)), g.activation((1, 3, 4, 4), kind="uint8", scale=0.02, source="uint8")
    a = conv(g, x, 3, 4, (1, 1))
    b = conv(g, y, 3, 4, (1, 1))
    return [g.quantise(g.op("Mul", [a.real(), b.real()]), a.scale * b.scale * 60, 0).bytes]


def shared_weights(g):
    """One quantised weight tensor, one DequantizeLinear, two layers whose operands have other scales."""
    x, y = g.activation((1, 4, 5, 5)), g.activation((1, 4, 5, 5), scale=0.011)
    weights, _ = g.real_weights((4, 4, 1, 1), 0)
    a = g.quantise(g.op("Conv", [x.real(), weights]), 0.1, 3)
    b = g.quantise(g.op("Conv", [y.real(), weights]), 0.04, 3)
    return [g.quantise(g.op("Add", [a.real(), b.real()]), 0.12, 1).bytes]


def weights_quantised_in_the_graph(g):
    """Float weights behind QuantizeLinear and DequantizeLinear: constants to be folded."""
    x = g.activation((1, 3, 6, 6))
    w = g.quantise(g.const(g.rng.uniform(-1, 1, (4, 3, 3, 3)).astype(np.float32)), 0.008, 0)
    return [g.quantise(g.op("Conv", [x.real(), w.real(), g.const(np.float32([0.3, -0.1, 0, 1]))]), 0.11, 3).bytes]


def bias_as_add(g):
    x = g.activation((1, 3, 6, 6))
    real = g.op("Conv", [x.real(), g.real_weights((4, 3, 3, 3), 0)[0]])
    real = g.op("Add", [real, g.const(g.rng.uniform(-2, 2, (4, 1, 1)).astype(np.float32))])
    return [g.quantise(g.op("Relu", [real]), 0.06, -128).bytes]


def float_weights(g):
    """Quantised activations around a layer whose weights are floats: no integers to be had."""
    x = g.activation((1, 3, 6, 6))
    return [g.quantise(g.op("Conv", [x.real(), g.const(g.rng.uniform(-1, 1, (4, 3, 3, 3)).astype(np.float32))]), 0.1, 3).bytes]


def no_zero_points(g):
    """QuantizeLinear and DequantizeLinear without the third operand: uint8 and 0."""
    real = g.op("Abs", [g.input("float", (1, 3, 6, 6))])
    scale = g.const(np.float32(0.016))
    x = g.op("DequantizeLinear", [g.op("QuantizeLinear", [real, scale]), scale])
    weights = g.op("DequantizeLinear", [g.const(g.weights((4, 3, 3, 3))[0]), g.const(np.float32(0.01))])
    real = g.op("Relu", [g.op("Conv", [x, weights])])
    return [g.op("QuantizeLinear", [real, g.const(np.float32(0.05))])]


def batch_norm(g):
    """BatchNormalization left between the layer and its rounding."""
    x = g.activation((1, 3, 6, 6))
    real = g.op("Conv", [x.real(), g.real_weights((4, 3, 3, 3), 0)[0]])
    uniform = lambda low, high: g.const(g.rng.uniform(low, high, 4).astype(np.float32))
    real = g.op("BatchNormalization", [real, uniform(-1.5, 1.5), uniform(-1, 1), uniform(-1, 1), uniform(0.5, 2)])
    return [g.quantise(g.op("Relu", [real]), 0.06, -128).bytes]


def open_batch(g):
    """A batch that the file leaves open; fed with three items."""
    x = g.quantise(g.input("float", (3, 3, 6, 6), declared=["batch", 3, 6, 6]), 0.031, -3)
    y = conv(g, x, 3, 4, (3, 3), act="Relu")
    pooled = g.quantise(g.op("GlobalAveragePool", [y.real()]), y.scale * 0.6, -128)
    flat = g.quantise(g.op("Flatten", [pooled.real()]), pooled.scale, pooled.zero)
    return [gemm(g, flat, 4, 5, transB=1).bytes]


def open_size(g):
    """Height and width that the file leaves open."""
    x = g.quantise(g.input("float", (1, 3, 7, 9), declared=[1, 3, "h", "w"]), 0.031, -3)
    y = conv(g, x, 3, 4, (3, 3), strides=[2, 2], pads=[1, 1, 1, 1])
    return [conv(g, y, 4, 3, (1, 1)).bytes]


def only_conversions(g):
    x = g.activation((1, 7))
    return [x.real()]


def constant_branch(g):
    """An operand that depends on no input: a quantised constant behind a layer of its own."""
    x = g.activation((1, 3, 4, 4))
    c = Tensor(g, g.const(g.weights((1, 3, 4, 4))[0]), 0.02, 3, "int8")
    a, b = conv(g, x, 3, 4, (1, 1)), conv(g, c, 3, 4, (1, 1))
    return [g.quantise(g.op("Add", [a.real(), b.real()]), a.scale * 1.3, 4).bytes]


def mobile_block(g):
    """Expansion, depthwise, projection, sum; twice; then a head: a network in small."""
    x = g.activation((2, 3, 12, 12), kind="uint8")
    y = conv(g, x, 3, 8, (3, 3), strides=[2, 2], auto_pad="SAME_UPPER", act="Relu6")
    for _ in range(2):
        z = conv(g, y, 8, 20, (1, 1), act="Relu6", zero=-128)
        z = conv(g, z, 20, 20, (3, 3), group=20, pads=[1, 1, 1, 1], act="Relu6", zero=-128)
        z = conv(g, z, 20, 8, (1, 1))
        y = g.quantise(g.op("Add", [y.real(), z.real()]), z.scale * 1.5, 9)
    pooled = g.quantise(g.op("ReduceMean", [y.real()], axes=[2, 3], keepdims=0), y.scale * 0.5, 4)
    # Logits of a few units, so that the softmax is not all zeros and a one.
    logits = gemm(g, pooled, 8, 10, per_channel=True, w={"scale": 2 / (pooled.scale * 74 * 74 * 3)})
    return [g.quantise(g.op("Softmax", [logits.real()]), 1 / 256, -128).bytes]


MODELS = [float_middle, two_consumers, consumer_outside, float_of_the_layer_is_read, output_in_the_middle, float_outputs, layer_to_floats,
          bytes_in, uint8_in_int8_inside, two_inputs, shared_weights, weights_quantised_in_the_graph, bias_as_add, float_weights,
          no_zero_points, batch_norm, open_batch, open_size, only_conversions, constant_branch, mobile_block]
