"""A run goes on after a process died, with as many as are left; files are whole or passed over."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import tiny  # noqa: E402
from lepton import checkpoint, distributed, loop  # noqa: E402
from test_division import apart, launched  # noqa: E402

EPOCHS, STEPS, EVERY = 6, 8, 3


def ran(folder, *more, options=(), timeout=300):
    """Output of the tiny recipe under torchrun."""
    arguments = ["tiny", "--runs", folder, "--epochs", EPOCHS, "--checkpoint-steps", EVERY, "--timeout-s", 60, *more]
    done = subprocess.run(launched("tiny.py", *arguments, options=options), capture_output=True, text=True, timeout=timeout)
    return done.returncode, done.stdout + done.stderr


def final(folder):
    """Weights of the last checkpoint, and the curve."""
    state = checkpoint.Store(pathlib.Path(folder) / "tiny").load()
    rows = [json.loads(line) for line in (pathlib.Path(folder) / "tiny/curve.jsonl").read_text().splitlines()]
    return state, rows


class Death(unittest.TestCase):
    def test_a_killed_process_costs_less_than_one_interval(self):
        options = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--max-restarts", "2", "--monitor-interval", "0.1"]
        with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as broken:
            code, said = ran(whole)
            self.assertEqual(code, 0, said)
            died_at = 3 * STEPS + 6
            code, said = ran(broken, "--die-at", died_at, options=options)
            self.assertEqual(code, 0, said)
            self.assertTrue((pathlib.Path(broken) / "died").exists())
            goes_on = [int(step) for step in re.findall(r"goes on after step (\d+)", said)]
            self.assertEqual(len(goes_on), 1, said)
            # The step that died was number `died_at`; all before it were done.
            self.assertLessEqual(died_at - 1 - goes_on[0], EVERY)
            (a, rows), (b, again) = final(whole), final(broken)
            self.assertEqual((a["step"], b["step"]), (EPOCHS * STEPS, EPOCHS * STEPS))
            # The same weights and curve as of the run in which nobody died.
            self.assertLess(apart(b["net"], a["net"]), 1e-6)
            self.assertEqual([r["step"] for r in again], [r["step"] for r in rows])
            for one, other in zip(rows, again):
                self.assertAlmostEqual(one["loss"], other["loss"], places=5)
                self.assertEqual(one["held_out"], other["held_out"])

    def test_those_that_are_left_go_on(self):
        with tempfile.TemporaryDirectory() as folder:
            port = free_port()
            options = ["--nnodes", "1:2", "--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "--rdzv-id", "t", "--max-restarts", "3",
                       "--rdzv-conf", "last_call_timeout=3,timeout=60", "--monitor-interval", "0.1"]
            arguments = ["tiny", "--runs", folder, "--epochs", EPOCHS, "--checkpoint-steps", EVERY, "--timeout-s", 300, "--slow", 0.004]
            command = launched("tiny.py", *arguments, processes=1, options=options)
            logs = [pathlib.Path(folder) / f"host-{i}.log" for i in range(2)]
            hosts = []
            # See docs/training.md: otherwise torch forgets to tell a host that comes later where the first process is.
            environment = {**os.environ, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
            for log in logs:
                with open(log, "w", encoding="utf-8") as out:
                    hosts.append(subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True, env=environment))
                # The first is the one that the others meet at.
                until(lambda: listening(port), "the first host listens")
            try:
                until(lambda: len(curve(folder)) >= 2, "two epochs are over")
                # The second host is switched off: its agent and its process.
                for process in [*children(hosts[1].pid), hosts[1].pid]:
                    os.kill(process, signal.SIGKILL)
                self.assertEqual(hosts[0].wait(timeout=400), 0, logs[0].read_text())
            finally:
                for host in hosts:
                    if host.poll() is None:
                        for process in [*children(host.pid), host.pid]:
                            os.kill(process, signal.SIGKILL)
                    host.wait()
            state, rows = final(folder)
            self.assertEqual(state["step"], EPOCHS * STEPS)
            self.assertEqual([r["epoch"] for r in rows], list(range(1, EPOCHS + 1)), logs[0].read_text())
            self.assertIn("goes on after step", logs[0].read_text())
            # Ends where one process with the whole batch ends: the global batch stayed the same.
            alone = loop.fit(tiny.task(epochs=EPOCHS), loop.Run(distributed.Group(), pathlib.Path(folder) / "alone", board=False))
            self.assertLess(apart(state["average"]["values"], alone.state_dict()), 0.05)


class Files(unittest.TestCase):
    def test_a_run_that_is_broken_off_goes_on_as_if_it_had_not_been(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            run = lambda name: loop.Run(distributed.Group(), folder / name, every_steps=5, board=False)
            whole = loop.fit(tiny.task(), run("whole"))
            task = tiny.task()
            steps = [0]

            def draw(total):
                steps[0] += 1
                if steps[0] == 12:
                    raise KeyboardInterrupt
                return tiny.draw(total)

            task.draw = draw
            with self.assertRaises(KeyboardInterrupt):
                loop.fit(task, run("broken"))
            self.assertEqual([p.name for p in checkpoint.Store(folder / "broken/tiny").files()], ["step-000000010.pt", "step-000000008.pt"])
            again = loop.fit(tiny.task(), run("broken"))
            self.assertEqual(apart(again.state_dict(), whole.state_dict()), 0)

    def test_a_damaged_file_is_named_and_passed_over(self):
        with tempfile.TemporaryDirectory() as folder:
            store = checkpoint.Store(folder)
            store.save(1, {"settings": {}})
            store.save(2, {"settings": {}})
            whole = store.files()[0].read_bytes()
            for damage in (whole[: len(whole) // 2], b"", b"not a checkpoint"):
                store.files()[0].write_bytes(damage)
                said = []
                self.assertEqual(store.load(said.append)["step"], 1)
                self.assertRegex(said[0], r"step-000000002\.pt cannot be read and is passed over: .+")
            store.save(3, {"settings": {}})
            self.assertEqual([p.name for p in store.files()], ["step-000000003.pt", "step-000000002.pt"])
            self.assertEqual(list(pathlib.Path(folder).glob(".*")), [])

    def test_a_checkpoint_of_other_settings_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            run = loop.Run(distributed.Group(), pathlib.Path(folder), board=False)
            loop.fit(tiny.task(epochs=1), run)
            with self.assertRaisesRegex(checkpoint.Mismatch, r"holds a run with epochs = 1, not 3: .*--again"):
                loop.fit(tiny.task(epochs=3), run)
            run.again = True
            self.assertIsNotNone(loop.fit(tiny.task(epochs=2), run))

    def test_a_batch_without_samples_is_refused(self):
        with self.assertRaisesRegex(ValueError, "tiny: 10 samples fill no batch of 64"):
            loop.fit(tiny.task(count=10), loop.Run(distributed.Group(), pathlib.Path("unused")))

    def test_a_run_leaves_curves_histograms_and_pictures(self):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        with tempfile.TemporaryDirectory() as folder:
            loop.fit(tiny.task(), loop.Run(distributed.Group(), pathlib.Path(folder)))
            events = EventAccumulator(str(pathlib.Path(folder) / "tiny"))
            events.Reload()
            tags = events.Tags()
            self.assertLessEqual({"loss/train", "accuracy/train", "accuracy/held_out", "learning_rate", "samples_per_second/worker_0"}, set(tags["scalars"]))
            self.assertLessEqual({"inputs", "confusion"}, set(tags["images"]))
            self.assertIn("weights/features.0.0.weight", tags["histograms"])
            self.assertIn("activations/features.0.0", tags["histograms"])
            self.assertEqual([e.step for e in events.Scalars("loss/train")], [8, 16])


def curve(folder):
    """Lines of the curve so far."""
    path = pathlib.Path(folder) / "tiny/curve.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def children(parent):
    """Processes that a process has started. Those of an agent have sessions of their own, and outlive it."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(entry.parent.name))
    return found


def listening(port):
    """True once something takes connections there."""
    import socket
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port():
    """A port that nothing listens on."""
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition, what, seconds=400):
    """Waits for a condition, and fails with its name."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not in {seconds} s: {what}")
        time.sleep(0.05)


if __name__ == "__main__":
    unittest.main()
