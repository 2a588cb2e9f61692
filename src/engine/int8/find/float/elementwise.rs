//! Nodes that work element by element on floats.

use super::super::elementwise::broadcast;
use super::super::net::Try;
use super::super::search::Search;
use crate::int8::graph::FloatOp;
use crate::int8::kernels::float::{Binary, Function};
use crate::onnx::node;

impl<'a> Search<'a> {
    /// A function of one operand, with what follows it as far as that is one function.
    pub fn float_unary(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        self.float_function(index, node::required_input(node, 0)?)
            .ok_or_else(|| format!("{} is not planned", node.op_type))?
    }

    /// The function of `name` that begins with a node, if that is one.
    fn float_function(&mut self, index: usize, name: &'a str) -> Option<Try<()>> {
        if self.net.is_constant(name) {
            return None;
        }
        let region = self.function_behind(name, index, false)?;
        Some(self.as_floats(name).and_then(|x| {
            let mut draft = self.draft(index);
            let shape = self.shape(x).to_vec();
            let y = self.float_step(&mut draft, FloatOp::Unary(region.function), vec![x], shape);
            self.float_finish(draft, y, region.output, &region.nodes, false)
        }))
    }

    /// A node with two operands (`Sum`, `Min` and `Max`: one or more).
    pub fn float_binary(&mut self, index: usize, op: Binary) -> Try<()> {
        let node = self.net.node(index);
        if node::int(node, "broadcast", 0)? != 0 {
            return Err("it broadcasts in the way of operator set 6".into());
        }
        for name in &node.input {
            if let Some(done) = self.float_function(index, name) {
                return done;
            }
        }
        let output = node::only_output(node)?;
        let shape = self.net.shape(output)?;
        let many = matches!(node.op_type.as_str(), "Sum" | "Min" | "Max");
        if node.input.len() < 2 || node.input.len() > 2 && !many {
            return Err(format!("it has {} operands", node.input.len()));
        }
        let operands = node.input.iter().map(|name| self.as_floats(name)).collect::<Try<Vec<_>>>()?;
        let mut draft = self.draft(index);
        let last = operands.len() - 2;
        let mut nodes = Vec::new();
        let mut made = output;
        let mut y = operands[0];
        for (step, &b) in operands[1..].iter().enumerate() {
            let wide = broadcast(self.shape(y), self.shape(b)).ok_or("its operands do not broadcast")?;
            let mut after = Function::Identity;
            if step == last {
                let start = self.net.consumers(output).first().copied();
                if let Some(region) = start.and_then(|start| self.function_behind(output, start, true)) {
                    (after, made, nodes) = (region.function, region.output, region.nodes);
                }
            }
            y = self.float_step(&mut draft, FloatOp::Binary { op, after }, vec![y, b], wide);
        }
        if self.shape(y) != shape {
            return Err("its operands do not broadcast to its result".into());
        }
        self.float_finish(draft, y, made, &nodes, false)
    }
}
