"""From a trained network to int8 ONNX: fold batch normalisation, export with free batch, height and width, quantise
(QDQ: weights int8 per channel, activations int8 per tensor), count, and run."""

import copy
import pathlib
import subprocess
import tempfile

import numpy
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

INPUT, OUTPUT = "image", "logits"


def fold(net):
    """A copy in which each batch normalisation is part of the convolution before it. Its weights lie in the default order:
    the exporter would write transpositions for those of a network that was trained channels last."""
    net = copy.deepcopy(net).eval().to(memory_format=torch.contiguous_format)
    for module in net.modules():
        if isinstance(module, nn.Sequential):
            children = list(module.named_children())
            for (a, conv), (b, norm) in zip(children, children[1:]):
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    setattr(module, a, nn.utils.fusion.fuse_conv_bn_eval(conv, norm))
                    setattr(module, b, nn.Identity())
    return net


def export(net, channels, height, width, path, free_size=True, outputs=(OUTPUT,)):
    """Writes float ONNX, `image` `[N, C, H, W]` to `logits` `[N, classes]`, or to `outputs`. N is free; H and W are, with `free_size`."""
    free = {0: torch.export.Dim("batch", min=1, max=65535)}
    if free_size:
        free |= {2: torch.export.Dim("height", min=8, max=4096), 3: torch.export.Dim("width", min=8, max=4096)}
    program = torch.onnx.export(
        fold(net), (torch.zeros(2, channels, height, width),), input_names=[INPUT], output_names=list(outputs),
        opset_version=18, dynamo=True, dynamic_shapes=(free,), external_data=False, verbose=False,
    )
    program.save(str(path))
    model = onnx.load(str(path))
    pool_globally(model)
    onnx.save(tidy(model), str(path))


def pool_globally(model):
    """The exporter writes a global average as a mean over the last two axes; the operator made for it quantises better."""
    constants = {t.name: onnx.numpy_helper.to_array(t).tolist() for t in model.graph.initializer}
    for node in model.graph.node:
        keep = all(a.i for a in node.attribute if a.name == "keepdims")
        if node.op_type == "ReduceMean" and keep and sorted(constants.get(node.input[1], [])) == [-2, -1]:
            pooled = onnx.helper.make_node("GlobalAveragePool", node.input[:1], node.output, name=node.name)
            node.CopyFrom(pooled)


def tidy(model):
    """Removes what the exporter notes about its own run."""
    model.producer_name, model.producer_version, model.doc_string = "leptond", "", ""
    del model.metadata_props[:]
    for part in [model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output]:
        if hasattr(part, "metadata_props"):
            del part.metadata_props[:]
        part.doc_string = ""
    used = {name for node in model.graph.node for name in node.input}
    kept = [t for t in model.graph.initializer if t.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    onnx.checker.check_model(model)
    return model


class _Samples(CalibrationDataReader):
    def __init__(self, samples, batch):
        self.batches = iter([samples[i : i + batch] for i in range(0, len(samples), batch)])

    def get_next(self):
        batch = next(self.batches, None)
        return None if batch is None else {INPUT: batch}


def quantise(source, path, samples, percentile=None, batch=100):
    """Quantises float ONNX by the ranges that normalised `samples` (float32 `[N, C, H, W]`, none of them evaluated on)
    reach: the whole range, or the given percentile of it."""
    options = {"WeightSymmetric": True}
    method = CalibrationMethod.MinMax
    if percentile is not None:
        method = CalibrationMethod.Percentile
        options["CalibPercentile"] = percentile
    with tempfile.TemporaryDirectory() as scratch:
        ready = str(pathlib.Path(scratch) / "ready.onnx")
        quant_pre_process(str(source), ready)
        quantize_static(
            ready, str(path), _Samples(samples, batch), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QInt8, weight_type=QuantType.QInt8, calibrate_method=method, extra_options=options,
        )
    onnx.save(tidy(onnx.load(str(path))), str(path))


def save(model, path):
    """Writes an ONNX model whole or not at all."""
    scratch = path.with_name(f".{path.name}.tmp")
    try:
        scratch.write_bytes(model.SerializeToString())
        scratch.rename(path)
    finally:
        scratch.unlink(missing_ok=True)


def mmac(path, shape):
    """Million multiply-accumulates of one inference at an input shape: convolutions and matrix products."""
    model = onnx.load(str(path))
    for axis, size in zip(model.graph.input[0].type.tensor_type.shape.dim, shape):
        axis.dim_value = size
    del model.graph.value_info[:]
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {t.name: list(t.dims) for t in graph.initializer}
    for value in [*graph.value_info, *graph.input, *graph.output]:
        shapes[value.name] = [d.dim_value for d in value.type.tensor_type.shape.dim]
    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            # Each output value takes one weight of every input channel of its group: [C_out, C_in / groups, kh, kw].
            total += int(numpy.prod(shapes[node.output[0]])) * int(numpy.prod(shapes[node.input[1]][1:]))
        elif node.op_type in ("Gemm", "MatMul"):
            transposed = any(a.name == "transA" and a.i for a in node.attribute)
            inner = shapes[node.input[0]][-2 if transposed else -1]
            total += int(numpy.prod(shapes[node.output[0]])) * inner
    return total / 1e6


def run(path, samples, batch=100, optimised=False, output=OUTPUT):
    """Logits of an ONNX file in onnxruntime, float32 `[N, classes]`."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    parts = [samples[i : i + batch] for i in range(0, len(samples), batch)]
    return numpy.concatenate([session.run([output], {INPUT: part})[0] for part in parts])


def run_leptond(program, path, samples, batch=500):
    """The same in leptond: `leptond infer --raw`."""
    outputs = []
    with tempfile.TemporaryDirectory() as scratch:
        given, made = pathlib.Path(scratch) / "in.npy", pathlib.Path(scratch) / "out.npy"
        for i in range(0, len(samples), batch):
            numpy.save(given, samples[i : i + batch])
            command = [str(program), "infer", str(path), "--raw", str(given), "-o", str(made)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            outputs.append(numpy.load(made))
    return numpy.concatenate(outputs)


def accuracy(logits, labels):
    """Top-1 by arg-max."""
    return float((logits.argmax(1) == numpy.asarray(labels)).mean())
