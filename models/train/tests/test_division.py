"""A batch divided over processes or into micro-batches gives the step of one process."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import tiny  # noqa: E402
from lepton import chance, distributed, loop  # noqa: E402


def launched(script, *arguments, processes=2, options=()):
    """The command that starts a script under torchrun on this machine."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    # A port of its own for each run.
    command += options or ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
    return [*command, str(HERE / script), *map(str, arguments)]


def apart(a, b):
    """Largest difference of two networks, relative to the largest value of each tensor."""
    assert list(a) == list(b)
    return max(float((a[k].double() - b[k].double()).abs().max() / (b[k].double().abs().max() + 1e-9)) for k in a)


class Division(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        folder = cls.scratch.name
        for command in ([sys.executable, str(HERE / "cases.py"), folder], launched("cases.py", folder)):
            done = subprocess.run(command, capture_output=True, text=True, timeout=600)
            if done.returncode != 0:
                raise AssertionError(done.stdout + done.stderr)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def weights(self, size, case):
        return torch.load(pathlib.Path(self.scratch.name) / f"of-{size}" / f"{case}.pt", weights_only=True)

    def test_two_processes_equal_one(self):
        for case in ("plain", "muon", "synchronised", "synchronised-accumulated", "plain-accumulated"):
            with self.subTest(case):
                self.assertLess(apart(self.weights(2, case), self.weights(1, case)), 1e-4)

    def test_uneven_shares_equal_one_process(self):
        self.assertLess(apart(self.weights(2, "uneven"), self.weights(1, "synchronised")), 1e-4)

    def test_accumulation_equals_one_batch_without_batch_normalisation(self):
        self.assertLess(apart(self.weights(1, "plain-accumulated"), self.weights(1, "plain")), 1e-4)

    def test_accumulation_equals_processes_with_local_statistics(self):
        self.assertLess(apart(self.weights(1, "local-accumulated"), self.weights(2, "local")), 1e-4)

    def test_statistics_of_parts_are_not_those_of_the_whole(self):
        # What docs/training.md says: here nothing is promised, and nothing holds.
        self.assertGreater(apart(self.weights(1, "synchronised-accumulated"), self.weights(1, "synchronised")), 1e-3)
        self.assertGreater(apart(self.weights(2, "local"), self.weights(2, "synchronised")), 1e-3)


class Shares(unittest.TestCase):
    def test_all_samples_are_taken_once(self):
        for total, speeds in ((64, [1, 1]), (64, [1, 2.2]), (7, [5, 1, 1]), (3, [100, 1, 1]), (128, [3.3, 2.9, 0.001, 17])):
            counts = distributed.shares(total, speeds)
            self.assertEqual(sum(counts), total)
            self.assertTrue(all(c >= 1 for c in counts))
            taken = [i for rank in range(len(counts)) for i in range(*distributed.span(counts, rank))]
            self.assertEqual(taken, list(range(total)))

    def test_shares_follow_speeds(self):
        self.assertEqual(distributed.shares(90, [1, 2]), [30, 60])
        self.assertEqual(distributed.shares(3, [100, 1, 1]), [1, 1, 1])
        with self.assertRaisesRegex(ValueError, "batch of 2 samples is too small for 3 processes"):
            distributed.shares(2, [1, 1, 1])

    def test_an_epoch_is_a_permutation_divided_without_overlap(self):
        for accumulate in (1, 3):
            seen = []
            trainers = [loop.Trainer(tiny.task(batch=64), loop.Run(distributed.Group(), pathlib.Path("unused"), accumulate)) for _ in range(3)]
            for rank, trainer in enumerate(trainers):
                trainer.group = distributed.Group(rank, 3)
                torch.manual_seed(7)
                order = trainer.draw_order()
                for step in range(trainer.steps):
                    pick = order[step * 64 : (step + 1) * 64]
                    counts = distributed.shares(64 // accumulate, [1.0, 2.0, 1.5])
                    seen += [i for begin, end in trainer.parts(counts) for i in pick[begin:end].tolist()]
            self.assertEqual(sorted(seen), list(range(512)))
            self.assertNotEqual(seen[:64], list(range(64)))


class Chance(unittest.TestCase):
    def test_dropout_is_the_same_however_a_batch_is_divided(self):
        drop = chance.Dropout(0.5).train()
        x = torch.ones(8, 5)
        torch.manual_seed(3)
        with chance.Batch(8):
            whole = drop(x)
        torch.manual_seed(3)
        with chance.Batch(8) as batch:
            parts = []
            for begin, end in ((0, 3), (3, 8)):
                batch.begin, batch.end = begin, end
                parts.append(drop(x[begin:end]))
        self.assertTrue(torch.equal(torch.cat(parts), whole))
        self.assertTrue(0 < int((whole == 0).sum()) < 40)


if __name__ == "__main__":
    unittest.main()
