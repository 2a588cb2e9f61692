//! The ONNX graph seen from its tensors: who makes them, who reads them, what is known of them; and attributes of nodes.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto, attribute_proto::AttributeType};
use tract_onnx::prelude::{Datum, DatumType, Tensor, TractResult};

use super::{Fact, constants};

/// A result, or why a node stays in floats.
pub(super) type Try<T> = Result<T, String>;

/// Largest attribute of a window (kernel, stride, dilation, padding) that is believed.
const MAX_WINDOW: i64 = 1 << 16;

/// An indexed graph.
pub(super) struct Net<'a> {
    /// As it stands in the file.
    pub graph: &'a GraphProto,
    /// Operator set of the file.
    pub opset: i64,
    /// Indices of nodes, makers before readers.
    pub order: Vec<usize>,
    facts: &'a HashMap<String, Fact>,
    /// Of constants that `facts` does not tell of, since tract keeps equal ones once.
    own: HashMap<&'a str, Fact>,
    maker: HashMap<&'a str, usize>,
    readers: HashMap<&'a str, Vec<usize>>,
    kept: HashSet<&'a str>,
    constant: HashSet<&'a str>,
    /// Nodes that are known although their operands are not: they ask for shapes. They count as readers of nothing.
    asking: HashSet<usize>,
}

impl<'a> Net<'a> {
    /// Indexes a graph.
    pub fn new(graph: &'a GraphProto, opset: i64, facts: &'a HashMap<String, Fact>) -> Self {
        let mut maker = HashMap::new();
        let mut kept: HashSet<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
        for (index, node) in graph.node.iter().enumerate() {
            maker.extend(node.output.iter().filter(|o| !o.is_empty()).map(|o| (o.as_str(), index)));
            captured(node, &mut |name| _ = kept.insert(name));
        }
        let order = order(graph, &maker);
        let missing = |name: &str| facts.get(name).is_none_or(|f| f.value.is_none());
        let mut own = HashMap::new();
        for tensor in graph.initializer.iter().filter(|t| missing(&t.name)) {
            own.extend(constants::read(tensor).map(|fact| (tensor.name.as_str(), fact)));
        }
        for node in &graph.node {
            let Some(name) = node.output.first().filter(|name| missing(name)) else { continue };
            own.extend(constants::of_node(node).map(|fact| (name.as_str(), fact)));
        }
        let mut constant: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
        constant.extend(own.keys().copied());
        constant.extend(facts.iter().filter(|(_, fact)| fact.value.is_some()).map(|(name, _)| name.as_str()));
        for &index in &order {
            let node = &graph.node[index];
            let pure = !node.input.is_empty() && !node.op_type.starts_with("Random") && node.op_type != "Bernoulli";
            let known = pure && node.input.iter().all(|i| i.is_empty() || constant.contains(i.as_str()));
            if known || node.op_type == "Constant" {
                constant.extend(node.output.iter().map(String::as_str).filter(|o| !o.is_empty()));
            }
        }
        let mut net = Net {
            graph,
            opset,
            order,
            facts,
            own,
            maker,
            readers: HashMap::new(),
            kept,
            constant,
            asking: HashSet::new(),
        };
        for (index, node) in graph.node.iter().enumerate() {
            let depends = node.input.iter().any(|i| !i.is_empty() && !net.is_constant(i));
            let kept = node.output.iter().any(|o| net.is_kept(o));
            if depends && !kept && net.is_folded(index) && net.values_of(index).is_some() {
                net.asking.insert(index);
                continue;
            }
            for input in node.input.iter().filter(|i| !i.is_empty()) {
                net.readers.entry(input.as_str()).or_default().push(index);
            }
        }
        net
    }

    /// Node `index`.
    pub fn node(&self, index: usize) -> &'a NodeProto {
        &self.graph.node[index]
    }

    /// Whether all outputs of a node are computed once, at load.
    pub fn is_folded(&self, index: usize) -> bool {
        let outputs = &self.node(index).output;
        !outputs.is_empty() && outputs.iter().all(|o| o.is_empty() || self.is_constant(o))
    }

    /// Whether a node is known although its operands are not.
    pub fn is_asking(&self, index: usize) -> bool {
        self.asking.contains(&index)
    }

    /// The outputs of a node as constants of a file, if all are known.
    pub fn values_of(&self, index: usize) -> Option<Vec<TensorProto>> {
        let outputs = self.node(index).output.iter().filter(|o| !o.is_empty());
        outputs.map(|name| constants::write(name, self.facts.get(name)?)).collect()
    }

    /// Whether a tensor depends on no input.
    pub fn is_constant(&self, name: &str) -> bool {
        self.constant.contains(name)
    }

    /// Whether a tensor is an output of the graph or read inside a branch or loop.
    pub fn is_kept(&self, name: &str) -> bool {
        self.kept.contains(name)
    }

    /// The node that makes a tensor.
    pub fn maker(&self, name: &str) -> Option<usize> {
        self.maker.get(name).copied()
    }

    /// The nodes that read a tensor, once for every time that they do.
    pub fn readers(&self, name: &str) -> &[usize] {
        self.readers.get(name).map_or(&[], Vec::as_slice)
    }

    /// What is known of a tensor.
    pub fn fact(&self, name: &str) -> Try<&Fact> {
        self.own
            .get(name)
            .or_else(|| self.facts.get(name))
            .ok_or_else(|| format!("nothing is known of tensor {name:?}"))
    }

    /// Shape of a tensor, no dimension of which is 0.
    pub fn shape(&self, name: &str) -> Try<Vec<usize>> {
        let shape = &self.fact(name)?.shape;
        let count = shape.iter().try_fold(1usize, |acc, &d| acc.checked_mul(d));
        if count.is_none_or(|c| c == 0 || c > isize::MAX as usize) {
            return Err(format!("tensor {name:?} is empty or too large"));
        }
        Ok(shape.clone())
    }

    /// Element type of a tensor.
    pub fn dtype(&self, name: &str) -> Option<DatumType> {
        self.fact(name).ok().map(|f| f.dtype)
    }

    /// The value of a constant.
    pub fn value(&self, name: &str) -> Try<&Tensor> {
        let value = self.fact(name)?.value.as_deref();
        value.ok_or_else(|| format!("tensor {name:?} is not a constant"))
    }

    /// The values of a constant of floats or integers, as floats.
    pub fn floats(&self, name: &str) -> Try<Vec<f32>> {
        floats(self.value(name)?)
    }

    /// The values of a constant of integers.
    pub fn ints(&self, name: &str) -> Try<Vec<i64>> {
        let cast = self.value(name)?.cast_to::<i64>().map_err(|e| e.to_string())?;
        let plain = cast.try_as_plain_ram().map_err(|e| e.to_string())?;
        Ok(plain.as_slice::<i64>().map_err(|e| e.to_string())?.to_vec())
    }

    /// The values of a constant of integers of up to 32 bits.
    pub fn integers(&self, name: &str) -> Try<Vec<i32>> {
        fn wide<T: Datum + Copy + Into<i32>>(tensor: &Tensor) -> TractResult<Vec<i32>> {
            Ok(tensor.try_as_plain_ram()?.as_slice::<T>()?.iter().map(|&v| v.into()).collect())
        }
        // Weights are most of a file: widened once, without a tensor in between.
        let value = self.value(name)?;
        let values = match value.datum_type() {
            DatumType::I8 => wide::<i8>(value),
            DatumType::U8 => wide::<u8>(value),
            _ => value.cast_to::<i32>().and_then(|cast| wide::<i32>(&cast)),
        };
        values.map_err(|e| e.to_string())
    }

    /// The only value of a constant that is the same everywhere.
    pub fn uniform(&self, name: &str) -> Option<f32> {
        const MAX_VALUES: usize = 1 << 16;
        if self.fact(name).ok()?.value.as_ref()?.len() > MAX_VALUES {
            return None;
        }
        let values = self.floats(name).ok()?;
        let (first, rest) = values.split_first()?;
        rest.iter().all(|v| v == first).then_some(*first)
    }
}

/// The values of a tensor as floats.
pub(super) fn floats(tensor: &Tensor) -> Try<Vec<f32>> {
    let cast = tensor.cast_to::<f32>().map_err(|e| e.to_string())?;
    let plain = cast.try_as_plain_ram().map_err(|e| e.to_string())?;
    Ok(plain.as_slice::<f32>().map_err(|e| e.to_string())?.to_vec())
}

/// Calls `found` with every name that the graphs inside a node read.
pub(super) fn captured<'a>(node: &'a NodeProto, found: &mut impl FnMut(&'a str)) {
    let mut graphs: Vec<&GraphProto> = Vec::new();
    let inner = |node: &'a NodeProto| node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs));
    graphs.extend(inner(node));
    while let Some(graph) = graphs.pop() {
        for node in &graph.node {
            node.input.iter().for_each(|i| found(i));
            graphs.extend(inner(node));
        }
        graph.output.iter().for_each(|o| found(&o.name));
    }
}

/// Indices of nodes with makers before readers, else in file order; what lies on a circle is left out.
pub(super) fn order(graph: &GraphProto, maker: &HashMap<&str, usize>) -> Vec<usize> {
    let mut waiting = vec![0usize; graph.node.len()];
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); graph.node.len()];
    for (index, node) in graph.node.iter().enumerate() {
        let mut reads = |name: &str| {
            if let Some(&from) = maker.get(name) {
                readers[from].push(index);
                waiting[index] += 1;
            }
        };
        node.input.iter().for_each(|i| reads(i));
        captured(node, &mut |name| reads(name));
    }
    let ready = waiting.iter().enumerate().filter(|(_, w)| **w == 0).map(|(index, _)| std::cmp::Reverse(index));
    let mut ready: std::collections::BinaryHeap<_> = ready.collect();
    let mut order = Vec::with_capacity(graph.node.len());
    while let Some(std::cmp::Reverse(index)) = ready.pop() {
        order.push(index);
        for &reader in &readers[index] {
            waiting[reader] -= 1;
            if waiting[reader] == 0 {
                ready.push(std::cmp::Reverse(reader));
            }
        }
    }
    order
}

/// Input `index` of a node, unless it is left out.
pub(super) fn input(node: &NodeProto, index: usize) -> Option<&str> {
    node.input.get(index).map(String::as_str).filter(|i| !i.is_empty())
}

/// Input `index` of a node that must have it.
pub(super) fn needs(node: &NodeProto, index: usize) -> Try<&str> {
    input(node, index).ok_or_else(|| format!("its input {index} is missing"))
}

/// The only output of a node.
pub(super) fn only_output(node: &NodeProto) -> Try<&str> {
    match &node.output[..] {
        [first, rest @ ..] if !first.is_empty() && rest.iter().all(String::is_empty) => Ok(first),
        _ => Err("it has not exactly one output".into()),
    }
}

fn attribute<'a>(node: &'a NodeProto, name: &str, kind: AttributeType) -> Try<Option<&'a AttributeProto>> {
    let Some(found) = node.attribute.iter().find(|a| a.name == name) else { return Ok(None) };
    // Files of the first IR version leave the type out.
    if found.r#type != kind as i32 && found.r#type != AttributeType::Undefined as i32 {
        return Err(format!("its attribute {name:?} is of another type than expected"));
    }
    Ok(Some(found))
}

/// Integer attribute.
pub(super) fn int(node: &NodeProto, name: &str, default: i64) -> Try<i64> {
    Ok(attribute(node, name, AttributeType::Int)?.map_or(default, |a| a.i))
}

/// Float attribute.
pub(super) fn float(node: &NodeProto, name: &str, default: f32) -> Try<f32> {
    Ok(attribute(node, name, AttributeType::Float)?.map_or(default, |a| a.f))
}

/// Integers of an attribute, if it is there.
pub(super) fn ints<'a>(node: &'a NodeProto, name: &str) -> Try<Option<&'a [i64]>> {
    Ok(attribute(node, name, AttributeType::Ints)?.map(|a| &a.ints[..]))
}

/// Text attribute.
pub(super) fn text<'a>(node: &'a NodeProto, name: &str, default: &'a str) -> Try<&'a str> {
    let Some(found) = attribute(node, name, AttributeType::String)? else { return Ok(default) };
    std::str::from_utf8(&found.s).map_err(|_| format!("its attribute {name:?} is not text"))
}

/// An attribute with a number for each of `count` axes of a window, each from `least` on.
pub(super) fn window(node: &NodeProto, name: &str, count: usize, least: i64, default: i64) -> Try<Vec<usize>> {
    let Some(values) = ints(node, name)? else { return Ok(vec![default as usize; count]) };
    if values.len() != count || values.iter().any(|v| !(least..=MAX_WINDOW).contains(v)) {
        return Err(format!("its {name} {values:?} do not fit"));
    }
    Ok(values.iter().map(|&v| v as usize).collect())
}

/// An axis that may count from the end.
pub(super) fn axis(value: i64, rank: usize) -> Try<usize> {
    let from_start = if value < 0 { value.saturating_add(rank as i64) } else { value };
    usize::try_from(from_start)
        .ok()
        .filter(|a| *a < rank)
        .ok_or_else(|| format!("axis {value} does not fit {rank} dimensions"))
}
