#!/usr/bin/env python3
"""What LiteRT's reference kernels make of the models in tests/it/tflite/operators.rs.

    pip install ai-edge-litert numpy
    mkdir /tmp/cases && LEPTOND_TFLITE_CASES=/tmp/cases cargo test --test it operators_compute
    python3 tests/tools/litert_cases.py /tmp/cases tests/data/tflite/litert.json
"""
import json, pathlib, sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

cases, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
found = {}
for path in sorted(cases.glob("*.tflite")):
    runtime = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    runtime.allocate_tensors()
    for place, port in enumerate(runtime.get_input_details()):
        runtime.set_tensor(port["index"], np.load(cases / f"{path.stem}.{place}.npy"))
    runtime.invoke()
    results = [runtime.get_tensor(port["index"]).flatten() for port in runtime.get_output_details()]
    found[path.stem] = [[int(v) if r.dtype != np.float32 else float(v) for v in r] for r in results]
out.parent.mkdir(exist_ok=True)
out.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items()) + "\n}\n")
print(len(found), "models")
