//! Epilogues: the nodes from a computing node to the `QuantizeLinear` behind it, which scale, add, clamp and move its result.

use tract_onnx::pb::NodeProto;

use super::moves::PadDomain;
use super::net::Try;
use super::params::{Params, Stored, quantise};
use super::search::{Draft, Search, View};
use crate::int8::graph::{Clamp, Quant, TensorId};
use crate::onnx::{node, operators};

/// Longest way to a `QuantizeLinear` that is followed.
const MAX_NODES: usize = 16;

/// The way from a float result to its `QuantizeLinear`.
pub(super) struct Epilogue<'a> {
    pub quant: Quant,
    /// Activations on the way.
    pub clamp: Clamp,
    /// Channel by channel: a factor, then a term. Empty where there is none.
    pub affine: Option<Affine>,
    /// Every node on the way.
    pub nodes: Vec<usize>,
    /// Those that move data, in their order.
    pub moves: Vec<usize>,
    /// Names of the quantised result, and whether they are unsigned.
    pub outputs: Vec<(&'a str, bool)>,
}

/// `x · factor + term` for every channel.
#[derive(Clone, Debug)]
pub(super) struct Affine {
    pub factor: Vec<f64>,
    pub term: Vec<f64>,
}

impl Affine {
    /// Changes nothing.
    pub fn unit(channels: usize) -> Self {
        Affine { factor: vec![1.0; channels], term: vec![0.0; channels] }
    }

    /// For channels that are `phases` of each in `groups` groups of `inside`, phase by phase within a group.
    pub fn repeated(&self, groups: usize, inside: usize, phases: usize) -> Self {
        let wide = |values: &[f64]| -> Vec<f64> {
            let group =
                |g: usize| std::iter::repeat_n(&values[g * inside..(g + 1) * inside], phases).flatten().copied();
            (0..groups).flat_map(group).collect()
        };
        Affine { factor: wide(&self.factor), term: wide(&self.term) }
    }

    fn scale(&mut self, by: &[f64]) {
        for ((factor, term), by) in self.factor.iter_mut().zip(&mut self.term).zip(by) {
            *factor *= by;
            *term *= by;
        }
    }

    fn add(&mut self, what: &[f64]) {
        self.term.iter_mut().zip(what).for_each(|(term, add)| *term += add);
    }
}

/// Bounds of a `Clip`, which every node on the way may narrow.
#[derive(Clone, Copy)]
struct Bounds {
    low: f32,
    high: f32,
}

impl Bounds {
    fn then(self, low: f32, high: f32) -> Try<Bounds> {
        if low.is_nan() || high.is_nan() || low > high {
            return Err(format!("limits {low} and {high} cannot be"));
        }
        Ok(Bounds { low: self.low.clamp(low, high), high: self.high.clamp(low, high) })
    }
}

impl<'a> Search<'a> {
    /// Follows the float result `name` to where it is quantised. Channels lie along `channel` if factors may be folded.
    pub fn epilogue(&self, name: &'a str, channel: Option<usize>) -> Try<Epilogue<'a>> {
        let mut bounds = Bounds { low: f32::NEG_INFINITY, high: f32::INFINITY };
        let (mut affine, mut nodes, mut moves, mut clamped) = (None, Vec::new(), Vec::new(), false);
        let mut name = name;
        for _ in 0..MAX_NODES {
            let readers = self.net.consumers(name);
            if self.net.is_kept(name) {
                return Err("its result leaves the model in floats".into());
            }
            let all_quantise = readers.iter().all(|&r| {
                let node = self.net.node(r);
                node.op_type == "QuantizeLinear" && node::input(node, 0) == Some(name)
            });
            if all_quantise && !readers.is_empty() {
                let (quant, outputs) = self.quantised_by(readers)?;
                nodes.extend(readers);
                let clamp = Clamp { low: quantise(quant, bounds.low), high: quantise(quant, bounds.high) };
                return Ok(Epilogue { quant, clamp, affine, nodes, moves, outputs });
            }
            let &[reader] = readers else {
                let why = if readers.is_empty() { "nothing reads its result" } else { "its result is read in floats" };
                return Err(why.into());
            };
            let node = self.net.node(reader);
            if let Some((low, high)) = self.limits(node, name)? {
                let pads = moves.iter().any(|&m: &usize| self.net.node(m).op_type == "Pad");
                if pads || self.net.shape(node::only_output(node)?)? != self.net.shape(name)? {
                    return Err(in_between(node));
                }
                bounds = bounds.then(low, high)?;
                clamped = true;
            } else if operators::moves(node) && node::input(node, 0) == Some(name) && is_simple(node) {
                moves.push(reader);
            } else if let Some(channel) = channel.filter(|_| !clamped && moves.is_empty()) {
                let channels = *self.net.shape(name)?.get(channel).ok_or("it has no channels")?;
                let mut folded: Affine = affine.take().unwrap_or_else(|| Affine::unit(channels));
                self.fold(node, name, channel, &mut folded)?;
                affine = Some(folded);
            } else {
                return Err(in_between(node));
            }
            nodes.push(reader);
            name = node::only_output(node)?;
        }
        Err("it is too far from its result to a QuantizeLinear".into())
    }

    /// Ends an item whose result `x` is what `epilogue` quantises to; what `epilogue` moves is moved.
    pub fn finish(
        &mut self,
        mut draft: Draft<'a>,
        mut x: TensorId,
        epilogue: &Epilogue<'a>,
        computes: bool,
    ) -> Try<()> {
        for &index in &epilogue.moves {
            let node = self.net.node(index);
            let outputs = self.apply(&mut draft, node, x, PadDomain::Real);
            let outputs =
                outputs.map_err(|why| format!("its result goes through {} {:?}: {why}", node.op_type, node.name))?;
            x = *outputs.first().ok_or("it makes nothing")?;
        }
        for &(name, unsigned) in &epilogue.outputs {
            self.name(name, View::Bytes { tensor: x, unsigned })?;
        }
        self.close(draft, &epilogue.nodes, computes);
        Ok(())
    }

    /// The one quantisation that all of these nodes ask for.
    fn quantised_by(&self, readers: &[usize]) -> Try<(Quant, Vec<(&'a str, bool)>)> {
        let mut found: Option<Quant> = None;
        let mut outputs = Vec::new();
        for &reader in readers {
            let node = self.net.node(reader);
            let (quant, unsigned) = Params::of(&self.net, node)?.per_tensor()?;
            if found.is_some_and(|f| f != quant) {
                return Err("its result is quantised in two ways".into());
            }
            found = Some(quant);
            outputs.push((node::only_output(node)?, unsigned));
        }
        Ok((found.ok_or("nothing reads its result")?, outputs))
    }

    /// Lowest and highest value that a node lets pass, if that is all it does to `name`.
    pub fn limits(&self, node: &NodeProto, name: &str) -> Try<Option<(f32, f32)>> {
        let free = (f32::NEG_INFINITY, f32::INFINITY);
        let other = || {
            let [a, b] = &node.input[..] else { return None };
            let other = if a == name { b } else { a };
            self.net.uniform(other).filter(|_| other != name && self.net.is_constant(other))
        };
        Ok(match node.op_type.as_str() {
            "Relu" => Some((0.0, free.1)),
            "Clip" if node::input(node, 0) == Some(name) => {
                let bound = |index: usize, attribute: &str, default: f32| -> Try<f32> {
                    let Some(bound) = node::input(node, index) else {
                        return Ok(node::float(node, attribute, default)?);
                    };
                    self.net.uniform(bound).ok_or_else(|| "the limits of Clip are not constants".into())
                };
                Some((bound(1, "min", free.0)?, bound(2, "max", free.1)?))
            }
            "Min" => other().map(|high| (free.0, high)),
            "Max" => other().map(|low| (low, free.1)),
            _ => None,
        })
    }

    /// Folds a node that multiplies or adds something for each channel.
    pub fn fold(&self, node: &NodeProto, name: &str, channel: usize, affine: &mut Affine) -> Try<()> {
        let shape = self.net.shape(name)?;
        if self.net.shape(node::only_output(node)?)? != shape {
            return Err(in_between(node));
        }
        if node.op_type == "BatchNormalization" {
            let (factor, term) = self.normalization(node, affine.factor.len())?;
            affine.scale(&factor);
            affine.add(&term);
            return Ok(());
        }
        let ([a, b], true) = (&node.input[..], matches!(node.op_type.as_str(), "Add" | "Sub" | "Mul" | "Div")) else {
            return Err(in_between(node));
        };
        let first = a == name;
        let other = if first { b } else { a };
        if other == name || !self.net.is_constant(other) {
            return Err(in_between(node));
        }
        let values = self.per_channel(other, &shape, channel)?;
        let inverse = |values: &[f64]| values.iter().map(|v| 1.0 / v).collect::<Vec<_>>();
        let negated = |values: &[f64]| values.iter().map(|v| -v).collect::<Vec<_>>();
        match (node.op_type.as_str(), first) {
            ("Add", _) => affine.add(&values),
            ("Sub", true) => affine.add(&negated(&values)),
            ("Sub", false) => {
                affine.scale(&vec![-1.0; values.len()]);
                affine.add(&values);
            }
            ("Mul", _) => affine.scale(&values),
            ("Div", true) => affine.scale(&inverse(&values)),
            _ => return Err(in_between(node)),
        }
        Ok(())
    }

    /// Factor and term of a `BatchNormalization` at inference.
    pub fn normalization(&self, node: &NodeProto, channels: usize) -> Try<(Vec<f64>, Vec<f64>)> {
        if node::int(node, "training_mode", 0)? != 0 || node::int(node, "spatial", 1)? != 1 {
            return Err(in_between(node));
        }
        let epsilon = f64::from(node::float(node, "epsilon", 1e-5)?);
        let read = |index: usize| -> Try<Vec<f64>> {
            let values = self.reals(node::required_input(node, index)?)?;
            if values.len() != channels {
                return Err(format!("BatchNormalization has {} values for {channels} channels", values.len()));
            }
            Ok(values)
        };
        let (scale, bias, mean, variance) = (read(1)?, read(2)?, read(3)?, read(4)?);
        let factor: Vec<f64> = scale.iter().zip(&variance).map(|(s, v)| s / (v + epsilon).sqrt()).collect();
        let term = bias.iter().zip(&mean).zip(&factor).map(|((b, m), f)| b - m * f).collect();
        Ok((factor, term))
    }

    /// The values of a constant that broadcasts to `shape` and differs along `channel` at most.
    pub fn per_channel(&self, name: &str, shape: &[usize], channel: usize) -> Try<Vec<f64>> {
        let channels = *shape.get(channel).ok_or("it has no channels")?;
        let own = self.net.shape(name)?;
        if let Some(value) = self.net.uniform(name) {
            return Ok(vec![f64::from(value); channels]);
        }
        let shift = shape.len().checked_sub(own.len()).ok_or("a constant has more dimensions than the result")?;
        let fits = own.iter().enumerate().all(|(axis, &dim)| dim == 1 || (axis + shift == channel && dim == channels));
        if !fits || own.iter().product::<usize>() != channels {
            return Err(format!("constant {name:?} of shape {own:?} is not one value for each channel"));
        }
        self.reals(name)
    }

    /// The values of a constant, from the integers that it was stored as where there are any.
    pub fn reals(&self, name: &str) -> Try<Vec<f64>> {
        match Stored::find(&self.net, name) {
            Ok(stored) => Ok(stored.reals()),
            Err(_) => Ok(self.net.floats(name)?.into_iter().map(f64::from).collect()),
        }
    }
}

/// Test for a node of one input that is moved and one output.
fn is_simple(node: &NodeProto) -> bool {
    node::only_output(node).is_ok() && node.op_type != "Split"
}

fn in_between(node: &NodeProto) -> String {
    format!("its result goes through {} {:?} before it is quantised", node.op_type, node.name)
}
