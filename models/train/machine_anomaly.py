"""Trains models/machine-anomaly, an autoencoder over windows of the `machine` sensor, and writes its bundle.

    python models/train/train.py machine-anomaly

The data are readings of one quiet computer and of the same computer compiling (`data/machine-*.csv`, made with
`leptond record --sensor machine`). From them come windows that count as normal: quiet ones, moderate load on some of the
cores, and bursts of full load that last at most two seconds. The network is a denoising autoencoder: half of the windows
it sees are overlaid with a sustained overload, and it has to give back what was beneath. So it reconstructs what is
normal, and takes away what is not; the difference is the score.
"""

import hashlib
import pathlib

import numpy
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from lepton import loop, recipe

HERE = pathlib.Path(__file__).parent
INTERVAL_S = 0.5
ROWS = 8
CHANNELS = ["cpu_percent", "cpu_min_percent", "cpu_max_percent", "memory_used_percent"]
MEAN = [20.0, 20.0, 20.0, 50.0]
STD = [20.0, 20.0, 20.0, 10.0]
# Rows of the quiet recording that are trained on; the rest of it is the test. Likewise for the texture of busy load, where
# the first 200 s, the start of the compilation among them, are kept for the test.
QUIET_TRAINED = 700
BUSY_TESTED = 400
# What is normal: at most this share of all cores for long, and full load for at most this many readings.
MOST_NORMAL = 0.45
LONGEST_BURST = 4
SHORTEST_OVERLOAD = 6
# Normal windows score below 1, overload scores about 9.
THRESHOLD = 3.0
# Steps between two lines of the curve.
EPOCH_STEPS = 500


def readings(name):
    """A recording as `[rows, channels]` percent."""
    table = numpy.genfromtxt(HERE / "data" / name, delimiter=",", names=True)
    return numpy.stack([table[c] for c in CHANNELS], 1).astype(numpy.float32)


def windows(rows):
    """Every window of `rows`, `[n, ROWS, channels]`."""
    return numpy.stack([rows[i : i + ROWS] for i in range(len(rows) - ROWS + 1)])


def summarise(cores, memory):
    """Load per core `[ROWS, cores]` and memory `[ROWS]` in percent, as the sensor's channels."""
    cores = cores.clip(0, 100)
    return numpy.stack([cores.mean(1), cores.min(1), cores.max(1), memory.clip(0, 100)], 1)


class Maker:
    """Makes normal windows, and overlays them with overload."""

    def __init__(self, quiet, busy, seed):
        self.quiet, self.busy = quiet, busy
        self.random = numpy.random.default_rng(seed)

    def base(self):
        """Load per core `[ROWS, cores]` of a quiet moment, and memory `[ROWS]`."""
        r = self.random
        n = int(r.choice([2, 4, 4, 4, 6, 8]))
        start = r.integers(len(self.quiet) - ROWS)
        quiet = self.quiet[start : start + ROWS]
        cores = numpy.repeat(quiet[:, :1], n, 1) * r.uniform(0, 2, n) + r.exponential(0.7, (ROWS, n))
        memory = r.uniform(2, 92) + numpy.cumsum(r.normal(0, 0.15, ROWS)) + r.normal(0, 0.05, ROWS)
        return cores, memory

    def texture(self, n):
        """How a busy machine's load fluctuates: 0 to 1, `[ROWS, n]`."""
        start = self.random.integers(len(self.busy) - ROWS)
        overall = self.busy[start : start + ROWS, :1] / 100
        return (overall * self.random.uniform(0.85, 1.05, (ROWS, n))).clip(0, 1)

    def moderate(self, cores):
        """Adds load on some or all of the cores, at most MOST_NORMAL of them together; it may begin or end within."""
        r, n = self.random, cores.shape[1]
        total = r.uniform(0, MOST_NORMAL) * n
        if r.random() < 0.5:
            share = numpy.full(n, total / n)
        else:
            share = numpy.zeros(n)
            for core in r.permutation(n):
                share[core] = min(1.0, total)
                total -= share[core]
        load = self.texture(n) * share * 100
        if r.random() < 0.4:
            edge = r.integers(1, ROWS)
            load[:edge] *= r.random() < 0.5
            load[edge:] *= load[:edge].any() == 0
        return cores + load

    def burst(self, cores):
        """Full load of some or all cores for at most LONGEST_BURST readings, of which the outer two are partial."""
        r, n = self.random, cores.shape[1]
        length = r.integers(1, LONGEST_BURST + 1)
        start = r.integers(1 - length, ROWS)
        busy = numpy.zeros(ROWS + 2 * LONGEST_BURST)
        busy[start + LONGEST_BURST : start + LONGEST_BURST + length] = 1
        busy[start + LONGEST_BURST] *= r.random()
        level = numpy.where(r.random(n) < r.choice([0.3, 0.6, 1.0]), r.uniform(60, 100, n), 0)
        return cores + busy[LONGEST_BURST : LONGEST_BURST + ROWS, None] * level

    def normal(self):
        """Load per core and memory of a normal window."""
        cores, memory = self.base()
        kind = self.random.random()
        if kind < 0.45:
            cores = self.moderate(cores)
        if kind > 0.3 and self.random.random() < 0.4:
            cores = self.burst(cores)
        return cores.clip(0, 100), memory

    def overload(self, cores):
        """All cores near full for SHORTEST_OVERLOAD readings or more, up to the end of the window or from its start."""
        r, n = self.random, cores.shape[1]
        length = r.integers(SHORTEST_OVERLOAD, ROWS + 1)
        level = 100 * r.uniform(0.85, 1.0) * (self.texture(n) if r.random() < 0.4 else numpy.ones((ROWS, n)))
        busy = numpy.zeros((ROWS, 1))
        if r.random() < 0.7:
            busy[ROWS - length :] = 1
            if length < ROWS:
                busy[ROWS - length - 1] = r.random()
        else:
            busy[:length] = 1
        return numpy.maximum(cores, busy * level)

    def pairs(self, count):
        """`(seen, wanted)`: windows `[count, ROWS, channels]`, half of them overlaid, and what is beneath."""
        seen, wanted = [], []
        for i in range(count):
            cores, memory = self.normal()
            wanted.append(summarise(cores, memory))
            if i % 2 and i % 16 != 1:
                cores = self.overload(cores)
            if i % 8 == 1:
                # Memory running out is no more normal than overload.
                memory = memory * 0 + self.random.uniform(97, 100)
                wanted[-1][:, 3] = 60
            seen.append(summarise(cores, memory))
        return [numpy.stack(x).astype(numpy.float32) for x in (seen, wanted)]


def normalise(x):
    return (x - numpy.float32(MEAN)) / numpy.float32(STD)


class Autoencoder(nn.Module):
    """`[N, ROWS, channels]` normalised → the same: 32 → 24 → 6 → 24 → 32."""

    def __init__(self):
        super().__init__()
        size = ROWS * len(CHANNELS)
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(size, 24), nn.ReLU(), nn.Linear(24, 6), nn.ReLU(), nn.Linear(6, 24), nn.ReLU(),
            nn.Linear(24, size), nn.Unflatten(1, (ROWS, len(CHANNELS))),
        )

    def forward(self, x):
        return self.layers(x)

    @classmethod
    def multiplications(cls):
        return sum(layer.weight.numel() for layer in cls().layers if isinstance(layer, nn.Linear))


def train(context, maker, steps, seed):
    """The network after so many steps of 512 windows, drawn with replacement."""
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    net = Autoencoder()
    seen, wanted = [torch.from_numpy(normalise(x)) for x in maker.pairs(60_000)]
    return context.fit(loop.Task(
        name="machine-anomaly", net=net, samples=seen, answers=wanted, epochs=steps // EPOCH_STEPS, batch=512, repeated=EPOCH_STEPS * 512,
        rate=0.005, optimiser="adam", schedule="cosine", normalise=lambda x: x, criterion=nn.functional.mse_loss, classes=False,
    ))


class Calibration(CalibrationDataReader):
    """Normal and overlaid windows, none of which the figures are measured on."""

    def __init__(self, windows):
        self.batches = iter([{"window": w} for w in numpy.array_split(windows, 20)])

    def get_next(self):
        return next(self.batches, None)


def export(net, calibration, out, work):
    """Float ONNX, then QDQ int8: weights per channel, activations int8."""
    work.mkdir(parents=True, exist_ok=True)
    plain, ready = work / "float.onnx", work / "ready.onnx"
    example = torch.zeros(2, ROWS, len(CHANNELS))
    program = torch.onnx.export(
        net, (example,), input_names=["window"], output_names=["reconstruction"], opset_version=18, dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},), external_data=False,
    )
    program.save(str(plain))
    quant_pre_process(str(plain), str(ready))
    quantize_static(
        str(ready), str(out), Calibration(calibration), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QInt8, weight_type=QuantType.QInt8, extra_options={"WeightSymmetric": True},
    )
    model = onnx.load(str(out))
    # What the exporter notes about its own run.
    model.producer_name, model.producer_version = "leptond", ""
    for part in [model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info]:
        part.doc_string = ""
        del part.metadata_props[:]
    onnx.checker.check_model(model)
    onnx.save(model, str(out))
    return plain


class Scorer:
    """Reconstruction error of an ONNX file, as leptond computes it."""

    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, percent):
        x = normalise(percent)
        return ((self.session.run(None, {"window": x})[0] - x) ** 2).mean((1, 2))


def first_flag(scores, threshold):
    """Index of the score with which an anomaly begins: two in a row above the threshold, or one above twice of it."""
    for i, score in enumerate(scores):
        if score > 2 * threshold or (score > threshold and i > 0 and scores[i - 1] > threshold):
            return i
    return None


def stressed(rows, start, share):
    """`rows` with every core full from reading `start` on, the first of them only for `share` of the interval."""
    rows = rows.copy()
    rows[start:, :3] = 100
    rows[start, :3] = rows[start, :3] * share
    return rows


def judge(score, threshold, quiet, busy, maker):
    """Prints and returns the figures of the card, all on data that were not trained on."""
    test = quiet[QUIET_TRAINED:]
    figures = {}
    scores = score(windows(test))
    figures["quiet: windows, highest score"] = (len(scores), float(scores.max()))
    figures["quiet: flagged"] = first_flag(scores, threshold)
    normal = numpy.stack([summarise(*maker.normal()) for _ in range(20_000)]).astype(numpy.float32)
    scores = score(normal)
    figures["normal, made: 50, 99, 99.9, 100 % score"] = [
        round(float(numpy.quantile(scores, q)), 3) for q in (0.5, 0.99, 0.999, 1)
    ]
    figures["normal, made: share above threshold"] = float((scores > threshold).mean())
    delays = []
    for start in range(ROWS, len(test) - 2 * ROWS, 3):
        for share in (0.05, 0.5, 1.0):
            scores = score(windows(stressed(test[start - ROWS : start + 2 * ROWS], ROWS, share)))
            flag = first_flag(scores, threshold)
            # Window i ends with reading i + ROWS - 1. The load began `share` of an interval before reading ROWS was taken.
            delays.append(99 if flag is None else (flag - 1 + share) * INTERVAL_S)
    figures["all cores full: starts, mean and longest delay s"] = (
        len(delays), round(float(numpy.mean(delays)), 2), round(float(max(delays)), 2),
    )
    for seconds in (0.5, 1, 1.5, 2, 2.5, 3):
        flags = []
        for start in range(ROWS, len(test) - 2 * ROWS, 7):
            rows = stressed(test[start - ROWS : start + 2 * ROWS], ROWS, 0.5)
            end = ROWS + int(seconds / INTERVAL_S)
            rows[end:] = test[start + end - ROWS : start + 2 * ROWS]
            rows[end, :3] = 50
            flags.append(first_flag(score(windows(rows)), threshold) is not None)
        figures[f"all cores full for {seconds} s: share flagged"] = round(float(numpy.mean(flags)), 3)
    joined = numpy.concatenate([test, busy[:BUSY_TESTED]])
    begin = int(numpy.argmax(joined[:, 0] > 80))
    flag = first_flag(score(windows(joined)), threshold)
    figures["compilation: delay s"] = None if flag is None else (flag + ROWS - 1 - begin + 1) * INTERVAL_S
    scores = score(windows(busy[60:BUSY_TESTED]))
    figures["compilation: share of windows above threshold"] = round(float((scores > threshold).mean()), 3)
    beneath = score(windows(test))[None, :] < scores[:, None]
    figures["auc, quiet against compilation"] = round(float(beneath.mean()), 4)
    for percent in (25, 35, 45, 55, 65, 75, 85, 95):
        load = numpy.tile(numpy.float32([percent, percent - 5, min(100, percent + 5), 30]), (1, ROWS, 1))
        figures[f"steady {percent} % on all cores: score"] = round(float(score(load)[0]), 3)
    for cores in (2, 4):
        load = numpy.tile(numpy.float32([100 / cores, 1, 100, 30]), (1, ROWS, 1))
        figures[f"one of {cores} cores full: score"] = round(float(score(load)[0]), 3)
    for memory in (5, 50, 85, 92, 95, 98):
        load = numpy.tile(numpy.float32([3, 1, 6, memory]), (1, ROWS, 1))
        figures[f"quiet with {memory} % of memory used: score"] = round(float(score(load)[0]), 3)
    for name, figure in figures.items():
        print(f"{name}: {figure}")
    return figures


MANIFEST = """\
name = "machine-anomaly"
version = "1.0.0"
task = "anomaly"
description = "Tells a computer's normal life from sustained overload, by windows of the machine sensor"
licence = "MIT OR Apache-2.0"
origin = "models/train/machine_anomaly.py"
sha256 = "{sha256}"

[input]
kind = "window"
rows = {rows}
channels = {channels}
mean = {mean}
std = {std}

[defaults]
# The error of normal windows is below 1, that of overload about 9.
threshold = {threshold}

[accuracy]
metric = "auc"
value = {auc}
dataset = "held-out quiet windows against windows of a compilation"
command = "python models/train/train.py machine-anomaly --evaluate"
mmac = {mmac}

[[golden]]
file = "golden/quiet.csv"
anomalous = false

[[golden]]
file = "golden/moderate.csv"
anomalous = false

[[golden]]
file = "golden/busy.csv"
anomalous = true
"""


def quoted(values):
    return "[" + ", ".join(f'"{v}"' if isinstance(v, str) else str(v) for v in values) + "]"


def write_golden(out, name, rows):
    names = ",".join(CHANNELS)
    numpy.savetxt(out / "golden" / name, rows, fmt="%.2f", delimiter=",", header=names, comments="")


def arguments(parser):
    """Adds the arguments of this recipe."""
    parser.add_argument("--steps", type=int, default=12_000, help=f"a multiple of {EPOCH_STEPS}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--evaluate", action="store_true", help="only measure the bundle that is there")


def make(context):
    """Trains the network and writes the bundle."""
    args = context.args
    quiet, busy = readings("machine-quiet.csv"), readings("machine-busy.csv")
    texture = busy[BUSY_TESTED:]
    out = context.bundle("machine-anomaly")
    model = out / "model.onnx"
    test = lambda: Maker(quiet[QUIET_TRAINED:], texture, args.seed + 2)
    if not args.evaluate:
        net = train(context, Maker(quiet[:QUIET_TRAINED], texture, args.seed), args.steps, args.seed)
        if not context.finishes:
            return
        (out / "golden").mkdir(parents=True, exist_ok=True)
        calibration = normalise(Maker(quiet[:QUIET_TRAINED], texture, args.seed + 1).pairs(2000)[0])
        plain = export(net, calibration, model, context.runs / "machine-anomaly")
        print("float:")
        judge(Scorer(plain), THRESHOLD, quiet, busy, test())
        write_golden(out, "quiet.csv", quiet[900 : 900 + ROWS])
        write_golden(out, "moderate.csv", numpy.tile(numpy.float32([27, 4, 80, 38]), (ROWS, 1)))
        write_golden(out, "busy.csv", busy[200 : 200 + ROWS])
    if not context.finishes:
        return
    print("int8:")
    figures = judge(Scorer(model), THRESHOLD, quiet, busy, test())
    data = model.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    if not args.evaluate:
        text = MANIFEST.format(
            sha256=sha256, rows=ROWS, channels=quoted(CHANNELS), mean=quoted(MEAN), std=quoted(STD), threshold=THRESHOLD,
            auc=figures["auc, quiet against compilation"], mmac=Autoencoder.multiplications() / 1e6,
        )
        (out / "model.toml").write_text(text, encoding="utf-8")
    print(f"{model.name}: {len(data)} bytes, sha256 {sha256}")


RECIPE = recipe.Recipe("machine-anomaly", "machine-anomaly: notices when a computer is overloaded", make, arguments)
