"""Models that are trained on: the file's weights out and in again, and rounded as the quantised file rounds."""

import pathlib
import sys
import tempfile
import unittest

import numpy
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import tiny  # noqa: E402
from lepton import compress, distributed, fit, loop, nets, quantise  # noqa: E402


def exported(folder):
    """The tiny network, trained a little, as float ONNX."""
    net = loop.fit(tiny.task(), loop.Run(distributed.Group(), folder / "runs", board=False))
    path = folder / "float.onnx"
    quantise.export(net, 1, tiny.SIZE, tiny.SIZE, path)
    return net, path


def graph_of(nodes, constants, inputs=("image",)):
    """A model of those nodes, whose last gives its output."""
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(i, TensorProto.FLOAT, ["n", 2, 4, 4]) for i in inputs],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


class Compressed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.scratch.name)
        cls.net, cls.path = exported(cls.folder)
        cls.samples = fit.normalise(tiny.pictures(100, 9)[0], [0.4], [0.2])

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def test_a_file_as_a_network_gives_what_the_file_gives(self):
        net = compress.load(self.path).eval()
        with torch.no_grad():
            found = net(self.samples).numpy()
        wanted = quantise.run(self.path, self.samples.numpy())
        numpy.testing.assert_allclose(found, wanted, atol=1e-4)
        self.assertEqual(sum(p.numel() for p in net.parameters()), nets.parameters(quantise.fold(self.net)))
        quantise.save(net.written(), self.folder / "again.onnx")
        numpy.testing.assert_array_equal(quantise.run(self.folder / "again.onnx", self.samples.numpy()), wanted)

    def test_trained_weights_go_back_into_the_file(self):
        net = compress.load(self.path)
        before = quantise.run(self.path, self.samples.numpy())
        task = tiny.task("tuned")
        task.net = net
        net = loop.fit(task, loop.Run(distributed.Group(), self.folder / "runs", board=False))
        path = self.folder / "tuned.onnx"
        quantise.save(net.written(), path)
        with torch.no_grad():
            wanted = net(self.samples).numpy()
        found = quantise.run(path, self.samples.numpy())
        numpy.testing.assert_allclose(found, wanted, atol=1e-4)
        self.assertGreater(numpy.abs(found - before).max(), 0.1)

    def test_the_quantised_file_rounds_as_in_training(self):
        net = compress.Quantised(compress.load(self.path))
        net.watch(self.samples.split(50))
        task = tiny.task("qat")
        task.net = net
        net = loop.fit(task, loop.Run(distributed.Group(), self.folder / "runs", board=False))
        scales = [r.scale.item() for r in net.roundings]
        path = self.folder / "qat.onnx"
        quantise.save(net.written(), path)
        with torch.no_grad():
            wanted = net(self.samples).numpy()
        found = quantise.run(path, self.samples.numpy())
        step = scales[-1]
        # Sums that lie at a border of two bytes may fall to either side.
        self.assertGreater((numpy.abs(found - wanted) < 0.01 * step).mean(), 0.95)
        self.assertLess(numpy.abs(found - wanted).max(), 3.01 * step)
        kinds = [node.op_type for node in onnx.load(path).graph.node]
        self.assertGreaterEqual(kinds.count("QuantizeLinear"), len(scales))
        for tensor in onnx.load(path).graph.initializer:
            if tensor.name.endswith(".bytes"):
                self.assertEqual(tensor.data_type, TensorProto.INT8)
                self.assertLessEqual(abs(numpy_helper.to_array(tensor).astype(int)).max(), 127)

    def test_scales_of_activations_are_trained(self):
        net = compress.Quantised(compress.load(self.path))
        net.watch([self.samples])
        net(self.samples).square().sum().backward()
        self.assertTrue(all(r.scale.grad is not None and torch.isfinite(r.scale.grad) for r in net.roundings))
        self.assertTrue(all(p.grad is not None for p in net.net.parameters()))

    def test_what_cannot_be_trained_is_named(self):
        weight = numpy.ones((2, 2, 1, 1), numpy.float32)
        cases = {
            "Einsum odd: this operator cannot be trained here":
                graph_of([helper.make_node("Einsum", ["image", "image"], ["y"], "odd", equation="nchw,nchw->nchw")], {}),
            "the model has 2 inputs, not one": graph_of([helper.make_node("Add", ["image", "other"], ["y"])], {}, ("image", "other")),
            "Conv c: padding .* is not the same at both ends":
                graph_of([helper.make_node("Conv", ["image", "w"], ["y"], "c", pads=[0, 0, 1, 1])], {"w": weight}),
            "is quantised: give its float form":
                graph_of([helper.make_node("QuantizeLinear", ["image", "s"], ["y"])], {"s": numpy.float32(1)}),
        }
        for words, model in cases.items():
            with self.subTest(words):
                path = self.folder / "case.onnx"
                path.write_bytes(model.SerializeToString())
                with self.assertRaisesRegex(ValueError, f"case.onnx.*{words}"):
                    compress.load(path)


if __name__ == "__main__":
    unittest.main()
