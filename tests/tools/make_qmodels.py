#!/usr/bin/env python3
"""Write small quantised ONNX models and what ONNX Runtime (graph optimisations off) makes of them.

    pip install onnx onnxruntime numpy
    python3 tests/tools/make_qmodels.py --single DIR             a model for every case, with its inputs: to find mistakes
    python3 tests/tools/make_qmodels.py --compact tests/data/int8    the fixtures: a model for every group of cases

For every model there is NAME.onnx, NAME.npy with the expected output (further ones: NAME.1.npy, …) and, with --single, the
inputs NAME.in.npy (NAME.in.1.npy, …). cases.json says for each model its inputs (kind, shape, seed) and outputs: how far a value
may be from the expected one (`quantum`), and of which cases the values are (`parts`: what, count, row-major).

Inputs are made by a formula, so that they need not be stored: `state = seed`, then for each element `state = (state ·
1103515245 + 12345) mod 2^31`, `byte = (state >> 16) mod 256`; int8 takes the byte's bits, float is `(byte − 128) / 32`.
tests/tools/check_qmodels.py runs leptond over such a directory and compares.
"""
import argparse
import json
import pathlib
import re
import sys

import numpy as np
import onnx
import onnxruntime as ort

from qmodels import elementwise, layers, moves, qlinear, static, topology
from qmodels.graph import Graph, Tensor

FAMILIES = layers.FAMILIES + elementwise.FAMILIES + moves.FAMILIES + qlinear.FAMILIES

# Families much like others: of these, every second, third, … case is among the fixtures.
THINNED = {"conv-weights-uint8": 6, "conv-activations-uint8": 4, "gemm-uint8": 7, "unary-uint8": 6, "average-pool-uint8": 4,
           "max-pool-uint8": 3, "concat-uint8": 4, "shapes-uint8": 6, "sub-broadcast": 5, "mul-broadcast": 3, "conv-plain-dilation2": 2,
           "conv-groups-dilation1": 2, "conv-groups-dilation2": 2, "conv-depthwise-dilation2": 2, "conv-1d": 3, "qlinear-contributed-uint8": 3,
           "qlinear-conv-uint8": 2, "qlinear-matmul-uint8": 2, "qlinear-gemm-uint8": 2}


def reference(model, feeds):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def worth_comparing(what, out, lax):
    """A case whose output hardly varies, or has hardly a value within the range, would compare nothing."""
    if lax or out.size < 8:
        return
    values, counts = np.unique(out, return_counts=True)
    if len(values) < 4 or counts.max() > 0.9 * out.size:
        raise SystemExit(f"{what}: {len(values)} different values of {out.size}, one of them {counts.max()} times")


def float_quantum(model, output, values):
    """A step of the quantisation that an output of floats comes from; where it comes from none, a hundredth of its range."""
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in model.graph.initializer}
    for node in model.graph.node:
        if model.graph.output[output].name in node.output and node.op_type == "DequantizeLinear":
            return float(constants[node.input[1]])
    return float(np.float32(np.abs(values).max()) / 100)


class Writer:
    def __init__(self, to, inputs):
        self.to, self.inputs, self.cases, self.bytes = to, inputs, {}, 0
        to.mkdir(parents=True, exist_ok=True)
        for old in to.glob("*"):
            if old.suffix in (".onnx", ".npy", ".json"):
                old.unlink()

    def write(self, name, model, feeds, parts=None, lax=False):
        outputs = reference(model, feeds)
        for info, out in zip(model.graph.output, outputs):
            if not info.type.tensor_type.HasField("shape"):  # behind an operator that onnx does not know
                info.CopyFrom(onnx.helper.make_tensor_value_info(info.name, info.type.tensor_type.elem_type, out.shape))
        onnx.checker.check_model(model)
        described = []
        for k, out in enumerate(outputs):
            part = parts[k] if parts else [[name, out.size]]
            ends = np.cumsum([count for _, count in part])
            assert ends[-1] == out.size, name
            for (what, count), end in zip(part, ends):
                worth_comparing(f"{name}: {what}", out.ravel()[end - count:end], lax or "times" in what or "saturate" in what)
            self.save(f"{name}{f'.{k}' if k else ''}.npy", out)
            quantum = 1 if out.dtype != np.float32 else float_quantum(model, k, out)
            described.append({"quantum": quantum, "parts": part})
        if self.inputs:
            for k, x in enumerate(feeds.values()):
                self.save(f"{name}.in{f'.{k}' if k else ''}.npy", x)
        path = self.to / f"{name}.onnx"
        onnx.save(model, path)
        self.bytes += path.stat().st_size
        inputs = [{"kind": x.dtype.name.replace("float32", "float"), "shape": list(x.shape), "seed": int(n[1:]) + 1}
                  for n, x in feeds.items()]
        self.cases[name] = {"inputs": inputs, "outputs": described}

    def save(self, name, array):
        path = self.to / name
        np.save(path, array)
        self.bytes += path.stat().st_size

    def finish(self):
        text = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in self.cases.items())
        path = self.to / "cases.json"
        path.write_text("{\n" + text + "\n}\n")
        cases = sum(len(o["parts"]) for c in self.cases.values() for o in c["outputs"])
        print(f"{len(self.cases)} models, {cases} cases, {(self.bytes + path.stat().st_size) / 1000:.0f} kB in {self.to}")


def families():
    for module in FAMILIES:
        for name, build, *opset in module():
            yield name, build, opset[0] if opset else 17


def compact(writer):
    """One model for each family: the results of all its cases, flattened, one behind the other for each type."""
    for name, build, opset in families():
        g = Graph(name, opset, frugal=True)
        flat, parts = {}, {}
        for index, (what, make) in enumerate(build(g)):
            if name in THINNED and index % THINNED[name]:
                continue
            made = make()
            kind = made.kind if isinstance(made, Tensor) else "float"
            flat.setdefault(kind, []).append(made.bytes if isinstance(made, Tensor) else made)
            parts.setdefault(kind, []).append(what)
        shape = g.const(np.int64([-1]))
        counts = {kind: [out.size for out in reference(g.model(names, [kind] * len(names)), g.feeds)] for kind, names in flat.items()}
        outputs = []
        for kind, names in flat.items():
            rows = [g.op("Reshape", [n, shape]) for n in names]
            outputs.append(g.op("Concat", rows, axis=0))
        writer.write(name, g.model(outputs, flat), g.feeds, parts=[[list(p) for p in zip(parts[k], counts[k])] for k in flat])


def single(writer):
    """One model for each case."""
    for name, build, opset in families():
        for index in range(len(list(build(Graph(name, opset))))):
            g = Graph(f"{name}-{index:02}", opset)
            what, make = list(build(g))[index]
            made = make()
            tensor = isinstance(made, Tensor)
            model = g.model([made.bytes if tensor else made], [made.kind if tensor else "float"])
            used = {i for node in model.graph.node for i in node.input}
            model = without_unused(model, used)
            feeds = {k: v for k, v in g.feeds.items() if k in used}
            lax = "times" in what or "saturate" in what
            writer.write(f"{name}-{index:02}-{re.sub(r'[^a-z0-9]+', '-', what.lower()).strip('-')}"[:90], model, feeds, lax=lax)


def without_unused(model, used):
    """A family's other cases may have left inputs and conversions that lead to nothing."""
    wanted = {o.name for o in model.graph.output}
    nodes = []
    for node in reversed(model.graph.node):
        if any(o in wanted for o in node.output):
            wanted.update(node.input)
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(reversed(nodes))
    for field in (model.graph.initializer, model.graph.input):
        kept = [v for v in field if v.name in wanted]
        del field[:]
        field.extend(kept)
    used &= wanted
    return model


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--single", type=pathlib.Path, metavar="DIR", help="write a model for every case")
    a.add_argument("--compact", type=pathlib.Path, metavar="DIR", help="write a model for every group of cases")
    o = a.parse_args()
    if not (o.single or o.compact):
        a.error("one of --single and --compact is needed")
    for to, write in ((o.single, single), (o.compact, compact)):
        if to is None:
            continue
        writer = Writer(to, inputs=write is single)
        write(writer)
        for build in topology.MODELS:
            g = Graph(build.__name__)
            outputs = build(g)
            writer.write("topology-" + build.__name__.replace("_", "-"), g.model(outputs), g.feeds)
        for name, model in static.models():
            if write is compact:
                if name not in static.FEW:
                    continue
                model = static.shorten(model)
            writer.write(name, model, {"x0": static.pattern("float", static.SHAPE, 1)})
        writer.finish()
    return 0


if __name__ == "__main__":
    sys.exit(main())
