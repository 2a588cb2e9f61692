"""Build the models that are timed: public definitions out of PyPI packages, random weights, normalisation statistics fitted.

Every model is written in several forms beside one another:
    NAME.fp32.onnx     as its exporter writes it
    NAME.qdq.onnx      int8 by onnxruntime's quantize_static, QDQ, uint8 activations, weights by channel
    NAME.qop.onnx      the same as QLinear operators
    NAME.u8w.onnx      uint8 weights with a zero point
    NAME.dyn.onnx      quantize_dynamic
    NAME.fp16.onnx     halves inside, floats outside
    NAME.f32.tflite, NAME.int8.tflite, NAME.dynamic.tflite
                       where TensorFlow is installed (`keras`), by its converter: floats, bytes throughout, bytes in the weights alone
Nothing of it is committed: neither the definitions nor the files are the project's.
"""
import os
import pathlib
import sys
import traceback
import warnings

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("YOLO_OFFLINE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.filterwarnings("ignore")

YOLO = [(name, size) for size in (320, 640) for name in ("yolov8n", "yolo11n", "yolo26n")]
TORCHVISION = ["mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "shufflenet_v2_x1_0", "efficientnet_b0", "resnet18",
               "resnet50", "squeezenet1_1", "mnasnet1_0", "regnet_y_400mf"]
TIMM = ["repvit_m0_9", "ghostnet_100", "mobilenetv4_conv_small", "mobileone_s0", "lcnet_050", "tinynet_e", "deit_tiny_patch16_224",
        "levit_128s", "mobilevit_xxs", "edgenext_xx_small", "convnext_atto", "efficientvit_b0", "fastvit_t8", "hardcorenas_a"]
KERAS = ["MobileNet", "MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "ResNet50", "NASNetMobile", "DenseNet121"]
SEQUENCES = ["lstm", "gru", "keyword_cnn", "transformer"]
FORMS = ["fp32", "qdq", "qop", "u8w", "dyn", "fp16"]


def names():
    """Every model that can be built."""
    yolo = [f"{name}-{size}" for name, size in YOLO] + ["yolov8n-seg-320", "yolov8n-pose-320"]
    return ["yolov8n-320", *TORCHVISION, *[n for n in yolo if n != "yolov8n-320"], *TIMM, *SEQUENCES]


def sequence(kind):
    """A small network over time: module and shape of its input."""
    import torch
    from torch import nn

    class Recurrent(nn.Module):
        def __init__(self, cell):
            super().__init__()
            self.cell, self.head = cell(40, 128, num_layers=2, batch_first=True), nn.Linear(128, 12)

        def forward(self, x):
            return self.head(self.cell(x)[0][:, -1])

    class Keyword(nn.Module):
        def __init__(self):
            super().__init__()
            block = lambda i, o, s: nn.Sequential(nn.Conv1d(i, o, 9, s, 4), nn.BatchNorm1d(o), nn.ReLU())
            self.body = nn.Sequential(block(40, 64, 1), block(64, 96, 2), block(96, 128, 2), nn.AdaptiveAvgPool1d(1), nn.Flatten())
            self.head = nn.Linear(128, 12)

        def forward(self, x):
            return self.head(self.body(x))

    if kind == "lstm":
        return Recurrent(nn.LSTM), (1, 49, 40)
    if kind == "gru":
        return Recurrent(nn.GRU), (1, 49, 40)
    if kind == "keyword_cnn":
        return Keyword(), (1, 40, 101)
    layer = nn.TransformerEncoderLayer(128, 4, 256, batch_first=True, activation="gelu", dropout=0.0)
    torch.backends.mha.set_fastpath_enabled(False)
    return nn.Sequential(nn.TransformerEncoder(layer, 4, enable_nested_tensor=False), nn.Linear(128, 12)), (1, 64, 128)


def definition(name):
    """Module in training mode and shape of its input."""
    if name.startswith("yolo"):
        from ultralytics import YOLO as Yolo
        base, size = name.rsplit("-", 1)
        return Yolo(f"{base}.yaml", verbose=False).model, (1, 3, int(size), int(size))
    if name in SEQUENCES:
        return sequence(name)
    if name in TORCHVISION:
        import torchvision
        return getattr(torchvision.models, name)(weights=None), (1, 3, 224, 224)
    import timm
    return timm.create_model(name, pretrained=False), (1, 3, 224, 224)


def fitted(module, shape):
    """The module with normalisation statistics of a few batches of noise, ready to be exported."""
    import torch
    torch.manual_seed(1)
    module.train()
    for part in module.modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
            part.momentum = None
        if isinstance(part, (torch.nn.Dropout, torch.nn.Dropout2d)):
            part.p = 0.0
    with torch.no_grad():
        for _ in range(2):
            module(torch.randn(2, *shape[1:]))
    module.eval()
    if hasattr(module, "fuse"):
        module = module.fuse()
    for part in module.modules():
        if type(part).__name__ in ("Detect", "Segment", "Pose", "v10Detect"):
            part.export, part.format = True, "onnx"
    return module


def export(name, path):
    """Writes NAME.fp32.onnx."""
    import torch
    module, shape = definition(name)
    module = fitted(module, shape)
    x = torch.randn(*shape)
    with torch.no_grad():
        module(x)
        torch.onnx.export(module, (x,), str(path), opset_version=17, input_names=["input"], dynamo=False)


class Noise:
    """Calibration data: a few inputs of noise."""

    def __init__(self, path):
        import numpy as np
        import onnxruntime as ort
        random = np.random.default_rng(2)
        inputs = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).get_inputs()
        feed = lambda: {i.name: random.standard_normal(i.shape).astype(np.float32) for i in inputs}
        self.feeds = iter([feed() for _ in range(3)])

    def get_next(self):
        return next(self.feeds, None)


def quantise(source, target, form):
    """Writes another form of a float model."""
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process
    if form == "fp16":
        from onnxconverter_common import float16
        onnx.save(float16.convert_float_to_float16(onnx.load(source), keep_io_types=True), target)
        return
    prepared = target.with_suffix(".prepared")
    try:
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        if form == "dyn":
            quantize_dynamic(str(prepared), str(target), weight_type=QuantType.QUInt8)
            return
        quantize_static(str(prepared), str(target), Noise(prepared),
                        quant_format=QuantFormat.QOperator if form == "qop" else QuantFormat.QDQ,
                        per_channel=form != "u8w", activation_type=QuantType.QUInt8,
                        weight_type=QuantType.QUInt8 if form == "u8w" else QuantType.QInt8)
    finally:
        prepared.unlink(missing_ok=True)


def build(folder, wanted, forms):
    """Builds what is missing; says what could not be built, and why."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in wanted or names():
        source = folder / f"{name}.fp32.onnx"
        for form in ["fp32", *[f for f in forms if f != "fp32"]]:
            target = folder / f"{name}.{form}.onnx"
            if target.exists():
                continue
            try:
                scratch = target.with_suffix(".part")
                export(name, scratch) if form == "fp32" else quantise(source, scratch, form)
                scratch.rename(target)
                print(f"{target.name}: {target.stat().st_size >> 10} KiB", flush=True)
            except Exception as error:  # other people's exporters fail in every way there is
                failed += 1
                said = "".join(traceback.format_exception_only(error)).strip().splitlines() or ["?"]
                print(f"{target.name}: not built: {said[-1][:200]}", file=sys.stderr, flush=True)
                if form == "fp32":
                    break
    return failed


def keras(folder, wanted):
    """Writes the .tflite files that are missing, with TensorFlow's own definitions and converter."""
    import numpy as np
    import tensorflow as tf
    random = np.random.default_rng(2)
    noise = lambda count: random.standard_normal((count, 224, 224, 3)).astype(np.float32)
    for name in wanted or KERAS:
        targets = {form: pathlib.Path(folder) / f"{name.lower()}.{form}.tflite" for form in ("f32", "int8", "dynamic")}
        if all(target.exists() for target in targets.values()):
            continue
        model = getattr(tf.keras.applications, name)(weights=None, input_shape=(224, 224, 3))
        for layer in model.layers:
            if isinstance(layer, tf.keras.layers.BatchNormalization):
                layer.momentum = 0.0
        model(noise(4), training=True)
        for form, target in targets.items():
            converter = tf.lite.TFLiteConverter.from_keras_model(model)
            if form != "f32":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
            if form == "int8":
                converter.representative_dataset = lambda: ([noise(1)] for _ in range(3))
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
                converter.inference_input_type = converter.inference_output_type = tf.int8
            target.write_bytes(converter.convert())
            print(f"{target.name}: {target.stat().st_size >> 10} KiB", flush=True)
