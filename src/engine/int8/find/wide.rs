//! Activations of 16 bits: floats that are rounded to the steps of their quantisation, wherever nothing but a `DequantizeLinear` reads the
//! integers. Sums of products of them need more than 32 bits; floats hold every such integer.

use tract_onnx::prelude::DatumType;

use super::moves::PadDomain;
use super::net::Try;
use super::params::Params;
use super::search::{Draft, Flowing, Origin, Role, Search, View};
use crate::int8::graph::{FloatOp, Op, TensorId};
use crate::int8::kernels::float::{Epilogue, Function};
use crate::onnx::{node, operators};

/// Nodes behind a `QuantizeLinear` to 16 bits.
struct Readers<'a> {
    scale: f32,
    zero_point: i32,
    /// Nodes that move the integers or dequantise them.
    nodes: Vec<usize>,
    /// Names of the reals.
    reals: Vec<(&'a str, TensorId)>,
}

impl<'a> Search<'a> {
    /// A `QuantizeLinear` to 16 bits, with everything between it and the reals again.
    pub fn wide(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let Params { scales, zero_points, dtype, .. } = Params::of_any(&self.net, node)?;
        let (least, most) = match dtype {
            DatumType::I16 => (i32::from(i16::MIN), i32::from(i16::MAX)),
            DatumType::U16 => (0, i32::from(u16::MAX)),
            _ => return Err("it does not quantise to 16 bits".into()),
        };
        let (&[scale], &[zero_point]) = (&scales[..], &zero_points[..]) else {
            return Err("an activation has a scale for each channel".into());
        };
        let from = node::required_input(node, 0)?;
        let x = self.as_floats(from)?;
        let mut draft = self.draft(index);
        let steps = [scale, (least - zero_point) as f32, (most - zero_point) as f32];
        let product = self.product_before(from, x);
        let y = match product {
            Some(_) => x,
            None => {
                let shape = self.shape(x).to_vec();
                self.float_step(&mut draft, FloatOp::Unary(Function::Steps(steps)), vec![x], shape)
            }
        };
        let mut readers = Readers { scale, zero_point, nodes: Vec::new(), reals: Vec::new() };
        self.readers(&mut draft, node::only_output(node)?, y, &mut readers)?;
        for (name, tensor) in readers.reals {
            self.name(name, View::Floats { tensor })?;
        }
        if let Some(epilogue) = product.and_then(|item| self.epilogue_of(item)) {
            epilogue.after = rounded(epilogue.after, steps).unwrap_or(epilogue.after);
        }
        if draft.steps.is_empty() {
            readers.nodes.iter().chain([&index]).for_each(|&node| self.roles[node] = Some(Role::View));
        } else {
            self.close(draft, &readers.nodes, false);
        }
        Ok(())
    }

    /// The item of a product that makes `x`, called `name`, for this one reader and can round it on the way.
    fn product_before(&mut self, name: &str, x: TensorId) -> Option<usize> {
        let Flowing { origin: Origin::Item(item), name: own, .. } = self.tensors[x] else { return None };
        let alone = own == Some(name) && self.net.consumers(name).len() == 1 && !self.net.is_kept(name);
        let ends = self.items[item].steps.last().is_some_and(|step| step.output == x);
        let epilogue = self.epilogue_of(item).filter(|_| alone && ends)?;
        rounded(epilogue.after, [1.0, 0.0, 0.0]).map(|_| item)
    }

    /// Last step of the product at the end of an item.
    fn epilogue_of(&mut self, item: usize) -> Option<&mut Epilogue> {
        match &mut self.items[item].steps.last_mut()?.op {
            Op::Float(FloatOp::Conv(conv)) => Some(&mut conv.epilogue),
            Op::Float(FloatOp::MatMul(matmul)) => Some(&mut matmul.epilogue),
            _ => None,
        }
    }

    /// Follows the integers called `name`, whose reals are `y`, to all that read them.
    fn readers(&mut self, draft: &mut Draft<'a>, name: &'a str, y: TensorId, found: &mut Readers<'a>) -> Try<()> {
        if self.net.is_kept(name) {
            return Err("its integers leave the model".into());
        }
        for reader in self.net.consumers(name).to_vec() {
            let node = self.net.node(reader);
            if node::input(node, 0) != Some(name) || self.roles[reader].is_some() || found.nodes.contains(&reader) {
                return Err(format!("{} reads its integers", node.op_type));
            }
            found.nodes.push(reader);
            if node.op_type == "DequantizeLinear" {
                let params = Params::of_any(&self.net, node)?;
                if params.scales != [found.scale] || params.zero_points != [found.zero_point] {
                    return Err("its integers are read with another quantisation".into());
                }
                found.reals.push((node::only_output(node)?, y));
            } else if operators::selects_elements(node) {
                let moved = self.apply(draft, node, y, PadDomain::Real)?;
                for (name, y) in node::outputs(node).zip(moved) {
                    self.readers(draft, name, y, found)?;
                }
            } else {
                return Err(format!("{} reads its integers", node.op_type));
            }
        }
        Ok(())
    }
}

/// A function and rounding to steps behind it as one, where they are.
fn rounded(function: Function, [scale, least, most]: [f32; 3]) -> Option<Function> {
    let (low, high) = match function {
        Function::Identity => (f32::NEG_INFINITY, f32::INFINITY),
        Function::Clip(low, high) => (low, high),
        _ => return None,
    };
    // Rounding keeps the order of numbers: limits may as well be rounded themselves.
    let step = |limit: f32| (limit / scale).round_ties_even().clamp(least, most);
    Some(Function::Steps([scale, step(low), step(high)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_steps_are_one_function() {
        assert_eq!(rounded(Function::Identity, [0.5, -3.0, 4.0]), Some(Function::Steps([0.5, -3.0, 4.0])));
        assert_eq!(rounded(Function::RELU, [0.5, -3.0, 4.0]), Some(Function::Steps([0.5, 0.0, 4.0])));
        assert_eq!(rounded(Function::Clip(-1.0, 1.2), [0.5, -3.0, 4.0]), Some(Function::Steps([0.5, -2.0, 2.0])));
        assert_eq!(rounded(Function::Sigmoid, [0.5, -3.0, 4.0]), None);
    }
}
