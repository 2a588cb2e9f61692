#!/usr/bin/env python3
"""Training in one process beside two: throughput, curves and the time to a fixed accuracy, each process on one core of its own.

    parallel.py --data DIR [--python PYTHON] [--rounds 3] [--network plain] [--subset 10] [--epochs 6] [--reach 0.5]
                [--hosts] [--variants one,two] [--rate 1gbit] [--port 29533] [--work DIR] [-- ARGUMENTS OF train.py]

By turns, in every round: one process on core 0; two on cores 0 and 1 with synchronised statistics, and with local ones; with --hosts (root, iproute2) two network
namespaces with a cable between them that `tc tbf` holds at --rate, one process in each, as two hosts. Times are of training alone, without the start and without
looking at the held-out pictures; what another program takes of the two cores counts, so give it a quiet machine or a negative niceness.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
TRAIN = ROOT / "models/train/train.py"
NAMES, ADDRESSES = ("leptond-a", "leptond-b"), ("10.213.7.1", "10.213.7.2")


def shell(*command):
    """Runs a command that must succeed."""
    subprocess.run(command, check=True)


class Cable:
    """Two network namespaces with a cable of a given rate between them."""

    def __init__(self, rate):
        self.rate = rate

    def __enter__(self):
        self.__exit__()
        for name in NAMES:
            shell("ip", "netns", "add", name)
            shell("ip", "-n", name, "link", "set", "lo", "up")
        shell("ip", "link", "add", "cable", "netns", NAMES[0], "type", "veth", "peer", "name", "cable", "netns", NAMES[1])
        for name, address in zip(NAMES, ADDRESSES):
            shell("ip", "-n", name, "address", "add", f"{address}/24", "dev", "cable")
            shell("ip", "-n", name, "link", "set", "cable", "up")
            shell("tc", "-n", name, "qdisc", "add", "dev", "cable", "root", "tbf", "rate", self.rate, "burst", "128kb", "latency", "50ms")
        return self

    def __exit__(self, *_):
        for name in NAMES:
            subprocess.run(["ip", "netns", "delete", name], check=False, stderr=subprocess.DEVNULL)


def commands(variant, options, folder):
    """The processes of a variant: what is run, and on which core."""
    train = [str(TRAIN), "cifar10", "--data", options.data, "--network", options.network, "--runs", str(folder), "--subset", str(options.subset),
             "--epochs", str(options.epochs), "--plain-log", "--train-only", "--checkpoint-s", "1e9", *options.more]
    if variant == "one":
        return [["taskset", "-c", "0", options.python, *train]]
    launch = [options.python, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-id", "bench"]
    found = []
    for core, (name, address) in enumerate(zip(NAMES, ADDRESSES)):
        place = ["ip", "netns", "exec", name] if variant.startswith("hosts") else []
        meet = ADDRESSES[0] if place else "127.0.0.1"
        here = ["--local-addr", address if place else "127.0.0.1"]
        local = ["--batch-norm", "local"] if variant.endswith("local") else []
        first = ["--rdzv-conf", f"is_host={'true' if core == 0 else 'false'}"]
        found.append([*place, "taskset", "-c", str(core), *launch, "--rdzv-endpoint", f"{meet}:{options.port}", *first, *here, *train, *local])
    return found


def measured(variant, options, work):
    """Rows of the curve of one run."""
    folder = work / variant
    shutil.rmtree(folder / "kept", ignore_errors=True)
    for old in folder.glob("*/*"):
        old.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    # Decoded pictures are there for all of them alike.
    if (work / "pictures").exists() and not (folder / "cifar10").exists():
        (folder / "cifar10").symlink_to(work / "pictures")
    hosts = variant.startswith("hosts")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **({"GLOO_SOCKET_IFNAME": "cable"} if hosts else {})}
    running = []
    for number, command in enumerate(commands(variant, options, folder)):
        log = open(folder / f"process-{number}.log", "w", encoding="utf-8")
        running.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True))
        time.sleep(0.5)
    for process in running:
        code = process.wait()
        if code != 0:
            for other in running:
                if other.poll() is None:
                    os.killpg(other.pid, signal.SIGTERM)
            sys.exit(f"{variant}: exit code {code}\n" + (folder / "process-0.log").read_text(encoding="utf-8")[-3000:])
    curve = next(folder.glob("*/curve.jsonl"))
    return [json.loads(line) for line in curve.read_text(encoding="utf-8").splitlines()]


def reached(rows, accuracy):
    """Seconds of training until the held-out pictures are answered so well; None where they never are."""
    seconds = 0.0
    for row in rows:
        seconds += row["seconds"]
        if row["held_out"] >= accuracy:
            return seconds
    return None


def main():
    """Prints one line for each variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", required=True)
    add("--python", default=sys.executable)
    add("--rounds", type=int, default=3)
    add("--network", default="leptonnet")
    add("--subset", type=int, default=10)
    add("--epochs", type=int, default=6)
    add("--reach", type=float, default=0.5)
    add("--hosts", action="store_true")
    add("--variants", help="in the place of all, joined by commas: one, two, two-local, hosts, hosts-local")
    add("--rate", default="1gbit")
    add("--port", type=int, default=29533)
    add("--work", type=pathlib.Path)
    add("more", nargs="*")
    options = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        sys.exit("two cores are wanted, one for each process")
    work = options.work or pathlib.Path(tempfile.mkdtemp())
    variants = ["one", "two", "two-local"] + (["hosts", "hosts-local"] if options.hosts else [])
    if options.variants:
        variants = [v for v in variants if v in options.variants.split(",")]
        if "one" not in variants:
            sys.exit("--variants: one process is what the others are held against")
    rows = {variant: [] for variant in variants}

    def rounds():
        for number in range(options.rounds):
            for variant in variants:
                rows[variant].append(measured(variant, options, work))
                print(f"round {number + 1}, {variant}: {sum(r['seconds'] for r in rows[variant][-1]):.1f} s", file=sys.stderr, flush=True)

    if options.hosts:
        with Cable(options.rate):
            rounds()
    else:
        rounds()
    alone = statistics.median(sum(r["seconds"] for r in run) for run in rows["one"])
    print(f"{'':14} {'seconds':>8} {'÷ one':>7} {'to ' + format(options.reach, '.0%'):>8}   held out after each epoch")
    for variant in variants:
        seconds = statistics.median(sum(r["seconds"] for r in run) for run in rows[variant])
        times = [reached(run, options.reach) for run in rows[variant]]
        until = f"{statistics.median(times):.1f} s" if all(times) else "never"
        print(f"{variant:14} {seconds:8.1f} {seconds / alone:7.2f} {until:>8}   " + " ".join(f"{r['held_out']:.3f}" for r in rows[variant][0]), flush=True)


if __name__ == "__main__":
    main()
