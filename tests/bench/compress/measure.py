#!/usr/bin/env python3
"""What quantising and pruning cost: accuracy of the results beside the float model and beside onnxruntime's quantize_static, over the same inputs.

    measure.py --leptond BIN --set cifar10|kws01 MODEL.onnx [--data DIR] [--prune 0.1,0.3,…] [--quantize-rs BIN] [--work DIR]

[needs onnx, onnxruntime, pillow]

MODEL takes pixels of 0 to 255 (NHWC) or normalised as leptonnet-cifar10 (NCHW); keywords as their real values. Calibrated on 256 pictures of the training set
(1024 for --prune), or on the first half of the keywords and measured on the second. All results run in onnxruntime, one thread; differences are paired, with 95 %
(Wald's interval of paired proportions).
"""
import argparse
import glob
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile

import numpy as np
import onnxruntime as ort

MEAN, STD = np.float32([0.4913, 0.4821, 0.4465]), np.float32([0.2452, 0.2428, 0.2606])
KEYWORD_SCALE, KEYWORD_ZERO = np.float32(0.5847), 83


def session(path):
    """A model in onnxruntime, on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def pictures(archive, count=None):
    """Pictures and classes of an archive, spread over it where only `count` are wanted."""
    from PIL import Image
    with tarfile.open(archive) as tar:
        members = sorted((m for m in tar if m.name.endswith(".jpg")), key=lambda m: m.name)
        classes = sorted({m.name.split("/")[-2] for m in members})
        if count:
            members = [members[i * len(members) // count] for i in range(count)]
        inputs = [np.asarray(Image.open(io.BytesIO(tar.extractfile(m).read())).convert("RGB"), np.float32) for m in members]
        return np.stack(inputs), np.array([classes.index(m.name.split("/")[-2]) for m in members])


def keywords(folder):
    """Keyword samples and their classes."""
    files = sorted(glob.glob(os.path.join(folder, "*.bin")))
    values = [(np.fromfile(f, np.int8).reshape(49, 10, 1).astype(np.float32) - KEYWORD_ZERO) * KEYWORD_SCALE for f in files]
    return np.stack(values), np.array([int(re.search(r"_(\d+)\.bin$", f).group(1)) for f in files])


def data(kind, folder, shape, count):
    """Inputs to calibrate on, inputs to measure on and their classes, as a model of this input shape takes them."""
    if kind == "kws01":
        inputs, classes = keywords(os.path.join(folder, "kws01"))
        return inputs[::2], inputs[1::2], classes[1::2]
    training, _ = pictures(os.path.join(folder, "cifar10/train.tar.gz"), count)
    held, classes = pictures(os.path.join(folder, "cifar10/val.tar.gz"))
    if shape[1] == 3:
        training, held = (np.ascontiguousarray(((a / 255 - MEAN) / STD).transpose(0, 3, 1, 2)) for a in (training, held))
    return training, held, classes


def right(path, inputs, classes):
    """For each input: the class is the right one."""
    model = session(path)
    name = model.get_inputs()[0].name
    return np.array([model.run(None, {name: x[None]})[0].reshape(-1).argmax() == c for x, c in zip(inputs, classes)])


def peers(source, calibration, work):
    """Results of onnxruntime's quantize_static by each of its methods. Yields (name, path)."""
    from onnxruntime import quantization as q
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(q.CalibrationDataReader):
        """The calibration inputs one by one."""

        def __init__(self):
            self.rewind()

        def rewind(self):
            """Begins again."""
            self.rest = iter(calibration)

        def get_next(self):
            """The next input; nothing at the end."""
            value = next(self.rest, None)
            return None if value is None else {name: value[None]}

    name = session(source).get_inputs()[0].name
    ready = os.path.join(work, "ready.onnx")
    try:
        quant_pre_process(source, ready, skip_symbolic_shape=True)
    except Exception as error:  # noqa: BLE001  (whatever it cannot do, the model goes in as it is)
        print(f"quant_pre_process: {error}", file=sys.stderr)
        ready = source
    for method in (q.CalibrationMethod.MinMax, q.CalibrationMethod.Entropy, q.CalibrationMethod.Percentile):
        target = os.path.join(work, f"ort-{method.name}.onnx")
        q.quantize_static(ready, target, Reader(), quant_format=q.QuantFormat.QDQ, per_channel=True, calibrate_method=method,
                          activation_type=q.QuantType.QUInt8, weight_type=q.QuantType.QInt8)
        yield f"onnxruntime {method.name}", target


def rivals(binary, source, calibration, work):
    """Results of quantize-rs by each of its methods, which takes one input of a fixed shape. Yields (name, path)."""
    import onnx
    model = onnx.load(source)
    for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, *calibration.shape[1:])):
        dim.Clear()
        dim.dim_value = size
    fixed, stacked = os.path.join(work, "fixed.onnx"), os.path.join(work, "calibration.npy")
    onnx.save(model, fixed)
    np.save(stacked, calibration)
    for method in ("minmax", "percentile", "entropy", "mse"):
        target = os.path.join(work, f"quantize-rs-{method}.onnx")
        done = subprocess.run([binary, "calibrate", fixed, "--data", stacked, "--per-channel", "--symmetric", "--method", method, "-o", target],
                              check=False, capture_output=True, text=True)
        if done.returncode == 0:
            yield f"quantize-rs {method}", target
        else:
            print(f"quantize-rs {method}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}")


def ours(leptond, command, source, folder, target, more):
    """One result of leptond."""
    name = session(source).get_inputs()[0]
    shapes = [f"--shape={name.name}=" + "x".join(str(d if isinstance(d, int) and d > 0 else 1) for d in name.shape)]
    if not all(isinstance(d, int) and d > 0 for d in name.shape[1:]):
        shapes = [f"--shape={name.name}=" + "x".join(["1"] + [str(d) for d in np.load(sorted(glob.glob(folder + "/*.npy"))[0]).shape[1:]])]
    done = subprocess.run([leptond, command, source, "--calibrate", folder, "-o", target, "--replace", *shapes, *more],
                          check=False, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return done.stdout


def main():
    """Prints one line for each result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--leptond", required=True)
    parser.add_argument("--set", choices=("cifar10", "kws01"), required=True)
    parser.add_argument("--data", default=os.path.join(os.path.dirname(__file__), "../../../../shared/data"))
    parser.add_argument("--prune")
    parser.add_argument("--work")
    parser.add_argument("--quantize-rs", metavar="BIN", help="also measure this program, of the Rust crate of that name")
    args = parser.parse_args()
    work = args.work or tempfile.mkdtemp()
    os.makedirs(work, exist_ok=True)
    shape = session(args.model).get_inputs()[0].shape
    calibration, inputs, classes = data(args.set, args.data, shape, 1024 if args.prune else 256)
    folder = os.path.join(work, "calibration")
    os.makedirs(folder, exist_ok=True)
    for index, value in enumerate(calibration):
        np.save(os.path.join(folder, f"{index:04}.npy"), value[None])
    reference = right(args.model, inputs, classes)
    size = os.path.getsize(args.model)
    print(f"{'':28} top-1 %   difference, points   file")
    print(f"{'float':28} {100 * reference.mean():7.2f}   {'':20}   {size / 1e3:.1f} KB")

    def show(name, path, note=""):
        found = right(path, inputs, classes)
        change = found.astype(float) - reference
        half = 1.96 * change.std() / np.sqrt(len(change))
        print(f"{name:28} {100 * found.mean():7.2f}   {100 * change.mean():+6.2f} ± {100 * half:4.2f}        {os.path.getsize(path) / size:.2f} {note}", flush=True)

    if args.prune:
        for ratio in args.prune.split(","):
            for method in ("fitted", "magnitude"):
                target = os.path.join(work, f"prune-{method}-{ratio}.onnx")
                said = ours(args.leptond, "prune", args.model, folder, target, ["--samples", "1024", "--ratio", ratio, "--method", method])
                removed = re.search(r"multiplications: .*?, ([\d.]+) % removed", said).group(1)
                show(f"prune {ratio} {method}", target, f"({removed} % of the multiplications)")
        return
    for name, path in peers(args.model, calibration, work):
        show(name, path)
    for name, path in rivals(args.quantize_rs, args.model, calibration, work) if args.quantize_rs else ():
        show(name, path)
    for effort in ("low", "normal", "high"):
        target = os.path.join(work, f"leptond-{effort}.onnx")
        ours(args.leptond, "quantize", args.model, folder, target, ["--effort", effort])
        show(f"leptond quantize, {effort}", target)


if __name__ == "__main__":
    main()
