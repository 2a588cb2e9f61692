#!/usr/bin/env python3
"""Run leptond over models that make_qmodels.py wrote, and compare with what ONNX Runtime made of them.

    pip install numpy
    python3 tests/tools/check_qmodels.py --leptond target/release/leptond [tests/data/int8] [--engine int8] [--only PATTERN]

A case passes when every value is within one quantum of the expected one. Models of several layers, in which a difference of one
can grow on its way, pass when at least 95 % of the values are within one quantum and none is further off than four. Exit code 1
if a case fails or a model does not run, unless the model is in the file given with --known, one name or pattern a line; a known
one that passes fails too, so that the list stays true.
"""
import argparse
import concurrent.futures
import fnmatch
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np

from qmodels.pattern import pattern

DEEP = re.compile(r"^(topology|static|squeeze-excite|residual|shapes-between|concat-.*branches)|branches|SiLU, gate|before a Conv")


def name_of(name, extra, k):
    return f"{name}{extra}{f'.{k}' if k else ''}.npy"


def run(exe, engine, where, name, case):
    """Outputs of leptond, or the reason why there are none."""
    with tempfile.TemporaryDirectory() as scratch:
        inputs = []
        for k, x in enumerate(case["inputs"]):
            path = pathlib.Path(scratch) / f"in.{k}.npy"
            np.save(path, pattern(x["kind"], x["shape"], x["seed"]))
            inputs.append(str(path))
        out = pathlib.Path(scratch) / "out.npy"
        command = [exe, "infer", str(where / f"{name}.onnx"), "--raw", *inputs, "-o", str(out), "--engine", engine]
        try:
            p = subprocess.run(command, capture_output=True, text=True, timeout=60)
        except subprocess.TimeoutExpired:
            return "no answer in 60 s"
        if p.returncode:
            text = (p.stderr.strip() or "no message").splitlines()
            return f"exit code {p.returncode}: {' '.join(text)[:300]}"
        return [np.load(out if k == 0 else out.with_name(f"out.{k}.npy")) for k in range(len(case["outputs"]))]


def compare(where, name, case, outputs):
    """A line for each part: what, ok, and how far off."""
    for k, (described, got) in enumerate(zip(case["outputs"], outputs)):
        want = np.load(where / name_of(name, "", k))
        if got.shape != want.shape or got.dtype != want.dtype:
            yield f"output {k}", False, 0, f"{got.dtype} {got.shape} instead of {want.dtype} {want.shape}"
            continue
        steps = np.abs(got.ravel().astype(np.float64) - want.ravel().astype(np.float64)) / described["quantum"]
        # Floats are equal when they are nearly so.
        steps = np.where(np.isnan(steps), np.inf, steps)
        at = 0
        for what, count in described["parts"]:
            part, at = steps[at:at + count], at + count
            near = (part < 1.001).mean()
            ok = near == 1 or bool(DEEP.search(f"{name}") or DEEP.search(what)) and near >= 0.95 and part.max() <= 4.001
            same = (part < 0.01).mean()
            yield what, ok, same, f"{100 * same:.1f} % equal, {100 * near:.1f} % within 1, at most {part.max():.4g} off"
        assert at == steps.size, name


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("models", nargs="?", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[1] / "data/int8")
    a.add_argument("--leptond", required=True)
    a.add_argument("--engine", default="int8", choices=("int8", "f32", "auto"))
    a.add_argument("--only", default="*", help="models whose name matches this pattern")
    a.add_argument("--known", type=pathlib.Path, help="file with the names of models that may fail")
    a.add_argument("--verbose", action="store_true", help="also a line for what passes")
    o = a.parse_args()
    cases = json.loads((o.models / "cases.json").read_text())
    names = [n for n in cases if fnmatch.fnmatch(n, o.only)]
    if not names:
        sys.exit(f"no model in {o.models} matches {o.only}")
    known = [line.split("#")[0].strip() for line in o.known.read_text().splitlines()] if o.known else []
    known = [k for k in known if k]
    passed = failed = 0
    broken, excused, stale, equal = [], [], [], []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, outputs in zip(names, pool.map(lambda n: run(o.leptond, o.engine, o.models, n, cases[n]), names)):
            expected = any(fnmatch.fnmatch(name, k) for k in known)
            if isinstance(outputs, str):
                bad = True
                failed += sum(len(x["parts"]) for x in cases[name]["outputs"])
                print(f"{name}: {outputs}")
            else:
                bad = False
                for what, ok, share, text in compare(o.models, name, cases[name], outputs):
                    passed, failed, bad = passed + ok, failed + (not ok), bad or not ok
                    equal.append(share)
                    if not ok or o.verbose:
                        print(f"{name}: {what}: {'ok' if ok else 'FAILED'}: {text}")
            if bad:
                (excused if expected else broken).append(name)
            elif expected:
                stale.append(name)
    print(f"{len(names)} models: {len(names) - len(broken) - len(excused)} pass, {len(broken)} fail, {len(excused)} fail as known; "
          f"{passed} of {passed + failed} cases pass; {100 * np.mean(equal) if equal else 0:.2f} % of values equal in the mean of the cases that ran")
    for name in stale:
        print(f"{name} passes, but is among the known failures")
    return 1 if broken or stale else 0


if __name__ == "__main__":
    sys.exit(main())
