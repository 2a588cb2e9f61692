"""onnxruntime and LiteRT on emulated ARM cores: an environment for them, and what they execute per inference.

Used by tests/bench/arm. Inside the emulator this file is the program, too: `arm_peers.py ENGINE MODEL` makes a session and runs it a few
times on zeros, with one thread; after those for warm-up and after each that is counted it marks the place for count.c.
"""
import hashlib
import os
import pathlib
import re
import subprocess
import sys

WARMUP, COUNTED = 2, 3
# getppid, which nobody else calls.
MARK = 173
ENGINES = {"litert": ".tflite", "onnxruntime": ".onnx"}
LIBRARIES = ["libc6", "libstdc++6", "libgcc-s1", "zlib1g", "libexpat1", "libffi8", "libssl3", "libbz2-1.0", "liblzma5", "libuuid1"]
WHEELS = ["numpy", "onnxruntime", "ai-edge-litert", "flatbuffers", "protobuf", "packaging"]
PLATFORMS = ["manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64", "any"]


def setup(folder):
    """Debian's Python and the peers' wheels for 64-bit ARM, unpacked in FOLDER/root; nothing is installed."""
    said = subprocess.run(["apt-cache", "show", "--no-all-versions", "python3-minimal:arm64"], capture_output=True, text=True).stdout
    version = re.search(r"python3\.(\d+)-minimal", said)
    if not version:
        raise RuntimeError("apt knows no python3-minimal:arm64: dpkg --add-architecture arm64; apt-get update")
    minor = version[1]
    debs, wheels, root = (folder / name for name in ("debs", "wheels", "root"))
    for path in (debs, wheels, root / "site"):
        path.mkdir(parents=True, exist_ok=True)
    packages = [f"python3.{minor}-minimal", f"libpython3.{minor}-minimal", f"libpython3.{minor}-stdlib", *LIBRARIES]
    subprocess.run(["apt-get", "download", "-q", *(f"{name}:arm64" for name in packages)], cwd=debs, check=True)
    for deb in sorted(debs.glob("*.deb")):
        subprocess.run(["dpkg", "-x", deb, root], check=True)
    platforms = [f"--platform={name}" for name in PLATFORMS]
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", *platforms,
                    f"--python-version=3.{minor}", "--implementation=cp", f"--abi=cp3{minor}", "--abi=abi3", "--abi=none",
                    "-d", wheels, *WHEELS], check=True)
    for wheel in sorted(wheels.glob("*.whl")):
        subprocess.run([sys.executable, "-m", "zipfile", "-e", wheel, root / "site"], check=True)


def python(folder):
    """The emulated Python of an environment; None where there is none."""
    return next(iter(sorted(folder.glob("root/usr/bin/python3.*"))), None)


def files(model):
    """For each engine the file that it reads: the model itself, or one of the same name in its format beside it."""
    paths = {engine: model.with_name(model.name.removesuffix(model.suffix) + ending) for engine, ending in ENGINES.items()}
    return {engine: path for engine, path in paths.items() if path.exists()}


class Counts:
    """What was counted before in this environment: counting again would take minutes and give the same."""

    def __init__(self, folder):
        self.path, self.known = folder / "counts.tsv", {}
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                digest, core, engine, count, _ = line.split("\t")
                self.known[digest, core, engine] = float(count)

    def get(self, model, core, engine, count):
        """The count of a file; `count()` where it is not known."""
        key = hashlib.sha256(model.read_bytes()).hexdigest(), core, engine
        if key not in self.known:
            self.known[key] = count()
            with self.path.open("a") as out:
                out.write("\t".join([*key, f"{self.known[key]:.0f}", model.name]) + "\n")
        return self.known[key]


def litert(model):
    """A call that runs a LiteRT interpreter once."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(model, num_threads=1)
    interpreter.allocate_tensors()
    for tensor in interpreter.get_input_details():
        interpreter.set_tensor(tensor["index"], np.zeros(tensor["shape"], tensor["dtype"]))
    return interpreter.invoke


def onnxruntime(model):
    """A call that runs a session of onnxruntime once."""
    import numpy as np
    import onnxruntime as ort
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 4
    session = ort.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    types = {"float": np.float32, "float16": np.float16, "int8": np.int8, "uint8": np.uint8, "int64": np.int64, "int32": np.int32,
             "bool": np.bool_}
    feed = {}
    for tensor in session.get_inputs():
        shape = [size if isinstance(size, int) else 1 for size in tensor.shape]
        feed[tensor.name] = np.zeros(shape, types[tensor.type.removeprefix("tensor(").removesuffix(")")])
    return lambda: session.run(None, feed)


if __name__ == "__main__":
    run = {"litert": litert, "onnxruntime": onnxruntime}[sys.argv[1]](sys.argv[2])
    for _ in range(WARMUP):
        run()
    for _ in range(COUNTED):
        os.getppid()
        run()
    os.getppid()
