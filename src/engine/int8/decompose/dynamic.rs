//! onnxruntime's operators on activations that are quantised as they come, in those of ONNX.

use tract_onnx::pb::NodeProto;
use tract_onnx::pb::tensor_proto::DataType;

use super::{Decomposition, attributes};
use crate::onnx::build::{self, NodeBuilder};
use crate::onnx::node::{self, input};
use crate::onnx::operators;

/// An integer product: its operands, their scales and zero points.
struct Product<'n> {
    bytes: [&'n str; 2],
    scales: [&'n str; 2],
    zero_points: [Option<&'n str>; 2],
    bias: Option<&'n str>,
}

impl Decomposition {
    /// `DynamicQuantizeMatMul`: `DynamicQuantizeLinear`, then a product.
    pub(super) fn dynamic_matmul(&mut self, node: &NodeProto) -> Option<()> {
        let [bytes, scale, zero_point] = ["bytes", "scale", "zero_point"].map(|what| self.fresh(node, what));
        let outputs = [&bytes, &scale, &zero_point];
        let quantize = NodeBuilder::new("DynamicQuantizeLinear", [input(node, 0)?]);
        self.nodes.push(quantize.named(&bytes, outputs));
        let product = Product {
            bytes: [&bytes, input(node, 1)?],
            scales: [&scale, input(node, 2)?],
            zero_points: [Some(&zero_point), input(node, 3)],
            bias: input(node, 4),
        };
        self.integer_product(node, &product)
    }

    /// `MatMulIntegerToFloat`.
    pub(super) fn matmul_to_float(&mut self, node: &NodeProto) -> Option<()> {
        let product = Product {
            bytes: [input(node, 0)?, input(node, 1)?],
            scales: [input(node, 2)?, input(node, 3)?],
            zero_points: [input(node, 4), input(node, 5)],
            bias: input(node, 6),
        };
        self.integer_product(node, &product)
    }

    /// `MatMulInteger`, its result times the product of the scales, a bias added.
    fn integer_product(&mut self, node: &NodeProto, product: &Product) -> Option<()> {
        let output = node.output.first().filter(|o| !o.is_empty())?.clone();
        let Product { bytes: [a, b], scales: [a_scale, b_scale], zero_points, bias } = *product;
        let mut inputs = vec![a, b];
        match zero_points {
            [None, None] => {}
            [Some(a), None] => inputs.push(a),
            [a, Some(b)] => inputs.extend([a.unwrap_or_default(), b]),
        }
        let sums = self.fresh(node, "sums");
        self.nodes.push(NodeBuilder::new("MatMulInteger", inputs).named(&node.name, [&sums]));
        let cast = self.made(node, "cast", NodeBuilder::new("Cast", [&sums]).int("to", DataType::Float as i64));
        let factor = self.made(node, "factor", NodeBuilder::new("Mul", [a_scale, b_scale]));
        let scaled = NodeBuilder::new("Mul", [&cast, &factor]);
        let last = match bias {
            Some(bias) => {
                let real = self.made(node, "real", scaled);
                NodeBuilder::new("Add", [&real, bias])
            }
            None => scaled,
        };
        let name = self.fresh(node, "result");
        self.nodes.push(last.named(name, [output]));
        Some(())
    }

    /// `DynamicQuantizeLSTM`: an `LSTM` of the floats that the weights stand for, which rounds its operands where it is of one direction; elsewhere
    /// what it rounds is left out.
    pub(super) fn dynamic_lstm(&mut self, node: &NodeProto) -> Option<()> {
        let directions = match node::text(node, "direction", "forward").ok()? {
            "forward" | "reverse" => 1,
            "bidirectional" => 2,
            _ => return None,
        };
        let rounds =
            directions == 1 && [8, 10].into_iter().all(|at| input(node, at).is_some_and(|s| self.floats(s).is_some()));
        let of = |this: &mut Self, what: &str, operands: [&str; 3]| match rounds {
            true => this.dequantised_weights(node, what, operands),
            false => this.lstm_weights(node, directions, what, operands),
        };
        let weights = of(self, "w", [input(node, 1)?, input(node, 8)?, input(node, 9)?]);
        let recurrent = of(self, "r", [input(node, 2)?, input(node, 10)?, input(node, 11)?]);
        let rest = (3..8).map(|index| input(node, index).unwrap_or_default().to_owned());
        let mut inputs: Vec<String> =
            [input(node, 0)?.to_owned(), weights, recurrent].into_iter().chain(rest).collect();
        while inputs.last().is_some_and(String::is_empty) {
            inputs.pop();
        }
        let lstm = NodeBuilder::new("LSTM", inputs).attributes(attributes(node, &[]));
        let lstm = if rounds { lstm.int(operators::ROUNDS_OPERAND, 1) } else { lstm };
        self.nodes.push(lstm.named(&node.name, node.output.clone()));
        Some(())
    }

    /// Weights `[1, inputs, gates]` dequantised, as `[1, gates, inputs]`: the integers of one direction can be found again.
    fn dequantised_weights(&mut self, node: &NodeProto, what: &str, [bytes, scale, zero_point]: [&str; 3]) -> String {
        let name = |part: &str| format!("{what}_{part}");
        let fresh = self.fresh(node, &name("dims"));
        // One scale for all is no row of them.
        let several = self.floats(scale).is_some_and(|scales| scales.len() > 1);
        let dims = if several { (-1i64).to_le_bytes().to_vec() } else { Vec::new() };
        let row = self.constant(build::tensor(fresh, DataType::Int64, vec![i64::from(several)], dims));
        let scale = self.made(node, &name("scales"), NodeBuilder::new("Reshape", [scale, &row]));
        let zero = self.made(node, &name("zeros"), NodeBuilder::new("Reshape", [zero_point, &row]));
        let real = NodeBuilder::new("DequantizeLinear", [bytes, &scale, &zero]).int("axis", 2);
        let real = self.made(node, &name("real"), real);
        self.made(node, &name("turned"), NodeBuilder::new("Transpose", [&real]).ints("perm", &[0, 2, 1]))
    }

    /// Weights `[directions, inputs, gates]` less their zero points, times their scales, as `[directions, gates, inputs]`.
    fn lstm_weights(
        &mut self,
        node: &NodeProto,
        directions: i64,
        what: &str,
        [bytes, scale, zero_point]: [&str; 3],
    ) -> String {
        let name = |part: &str| format!("{what}_{part}");
        // One for each direction, or for each gate of each.
        let dims: Vec<u8> = [directions, 1, -1].iter().flat_map(|d: &i64| d.to_le_bytes()).collect();
        let fresh = self.fresh(node, &name("dims"));
        let dims = self.constant(build::tensor(fresh, DataType::Int64, vec![3], dims));
        let float = |x: &str| NodeBuilder::new("Cast", [x]).int("to", DataType::Float as i64);
        let steps = self.made(node, &name("float"), float(bytes));
        let zero = self.made(node, &name("zero"), float(zero_point));
        let zero = self.made(node, &name("zeros"), NodeBuilder::new("Reshape", [&zero, &dims]));
        let scale = self.made(node, &name("scales"), NodeBuilder::new("Reshape", [scale, &dims]));
        let steps = self.made(node, &name("steps"), NodeBuilder::new("Sub", [&steps, &zero]));
        let real = self.made(node, &name("real"), NodeBuilder::new("Mul", [&steps, &scale]));
        self.made(node, &name("turned"), NodeBuilder::new("Transpose", [&real]).ints("perm", &[0, 2, 1]))
    }

    /// Adds a node of one output, which has a name of its own.
    fn made(&mut self, node: &NodeProto, what: &str, builder: NodeBuilder) -> String {
        let name = self.fresh(node, what);
        self.nodes.push(builder.named(&name, [&name]));
        name
    }
}
