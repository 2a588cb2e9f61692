#!/usr/bin/env python3
"""Memory of models in floats, in bytes, and with channels removed first: weights and values between layers, as `leptond bench` counts them.

    memory.py --leptond BIN [--ratio 0.3] MODEL:CALIBRATION[:FLAG=VALUE…] …

CALIBRATION is a folder of inputs; flags go to `leptond quantize` and `prune` (`--mean` as `mean=0`). A model whose channels cannot be removed so far has a dash.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile


def run(*command):
    """Standard output of a command, or None with its last line of errors shown."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        print("   ", done.stderr.strip().splitlines()[-1])
        return None
    return done.stdout


def memory(leptond, model):
    """Kilobytes of weights and of values between layers."""
    found = json.loads(run(leptond, "bench", model, "--iters", "1", "--warmup", "0", "--json"))
    return found["weights_bytes"] / 1e3, found["arena_bytes"] / 1e3


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--leptond", required=True)
    args.add_argument("--ratio", default="0.3")
    args.add_argument("models", nargs="+")
    args = args.parse_args()
    print(f"| model | floats, KB (weights + values) | bytes, KB | less | {args.ratio} pruned, bytes, KB | less |\n|---|---|---|---|---|---|")
    for given in args.models:
        model, calibration, *flags = given.split(":")
        flags = [part for flag in flags for part in ("--" + flag.split("=")[0], flag.split("=")[1])]
        with tempfile.TemporaryDirectory() as scratch:
            small, quantised, both = (pathlib.Path(scratch) / name for name in ("small", "int8", "both"))
            samples = ["--calibrate", calibration]
            run(args.leptond, "quantize", model, *samples, *flags, "-o", quantised)
            pruned = run(args.leptond, "prune", model, *samples, *flags, "--ratio", args.ratio, "-o", small)
            # A bundle knows what the flags said.
            if pruned:
                pruned = run(args.leptond, "quantize", small, *samples, "-o", both)
            whole = memory(args.leptond, model)
            cells = [f"{whole[0]:.0f} + {whole[1]:.0f}"]
            for made in (quantised, both if pruned else None):
                if made is None or not made.exists():
                    cells += ["–", "–"]
                    continue
                found = memory(args.leptond, made)
                cells += [f"{found[0]:.0f} + {found[1]:.0f}", f"{100 * (1 - sum(found) / sum(whole)):.0f} %"]
            print(f"| {pathlib.Path(model).stem} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
