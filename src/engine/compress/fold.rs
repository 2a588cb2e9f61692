//! A graph made plain before it is changed: constants as initializers, nodes that do nothing gone, normalisation folded into the
//! convolution in front of it.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};
use tract_onnx::prelude::Tensor;

use super::run::TensorFact;
use crate::onnx::{GraphView, build, node, tensor};

/// Default epsilon of `BatchNormalization`.
const EPSILON: f32 = 1e-5;

/// Makes the graph of `model` plain; gives the number of normalisations that were folded.
pub fn plain(model: &mut ModelProto) -> usize {
    let Some(graph) = &mut model.graph else { return 0 };
    name_nodes(graph);
    constants(graph);
    stored(graph);
    idle(graph);
    let folded = normalisations(graph);
    sweep(graph);
    folded
}

/// `name`, or one like it that no tensor of the graph has.
pub fn unused(graph: &GraphProto, mut name: String) -> String {
    let taken = |name: &String| {
        graph.initializer.iter().any(|tensor| tensor.name == *name)
            || graph.input.iter().any(|port| port.name == *name)
            || graph.node.iter().any(|node| node.output.contains(name) || node.input.contains(name))
    };
    while taken(&name) {
        name.push('_');
    }
    name
}

/// Names nodes without one by their first output.
fn name_nodes(graph: &mut GraphProto) {
    let mut taken: HashSet<String> = HashSet::new();
    for (index, node) in graph.node.iter_mut().enumerate() {
        if node.name.is_empty() || taken.contains(&node.name) {
            let first = node.output.iter().find(|name| !name.is_empty()).cloned();
            node.name = first.filter(|name| !taken.contains(name)).unwrap_or_else(|| format!("node_{index}"));
        }
        taken.insert(node.name.clone());
    }
}

/// Turns outputs of `Constant` nodes into initializers. Those that a branch or the graph itself gives away stay.
fn constants(graph: &mut GraphProto) {
    let mut made = Vec::new();
    let kept: HashSet<String> = graph.output.iter().map(|port| port.name.clone()).collect();
    graph.node.retain(|node| {
        let Some(output) = node.output.first().filter(|name| !kept.contains(*name)) else { return true };
        let Some(value) = tensor::of_node(node) else { return true };
        let written =
            node::attribute(node, "value").and_then(|a| a.t.clone()).or_else(|| tensor::write(output, &value));
        let Some(mut proto) = written else { return true };
        proto.name.clone_from(output);
        made.push(proto);
        false
    });
    graph.initializer.append(&mut made);
}

/// Turns constants that are stored as integers behind a `DequantizeLinear` into the floats that they stand for.
fn stored(graph: &mut GraphProto) {
    let mut made = Vec::new();
    let view = GraphView::new(graph);
    let mut gone = HashSet::new();
    for node in graph.node.iter().filter(|node| node.op_type == "DequantizeLinear") {
        let Some(proto) = dequantized(&view, node).filter(|proto| !view.is_kept(&proto.name)) else { continue };
        gone.insert(node.name.clone());
        made.push(proto);
    }
    graph.node.retain(|node| !gone.contains(&node.name));
    graph.initializer.append(&mut made);
}

/// The constant that a `DequantizeLinear` gives; `None` where it is none, or has a scale for each block.
fn dequantized(view: &GraphView<'_>, node: &NodeProto) -> Option<TensorProto> {
    let constant = |index: usize| view.constant(node::input(node, index)?);
    let (integers, scales) = (constant(0)?, tensor::floats(&constant(1)?).ok()?);
    let shape = integers.shape().to_vec();
    let zeros = match node::input(node, 2) {
        Some(_) => tensor::floats(&constant(2)?).ok()?,
        None => vec![0.0; scales.len()],
    };
    let axis = match scales.len() {
        1 => 0,
        _ => node::axis(node::int(node, "axis", 1).ok()?, shape.len()).ok()?,
    };
    let blocks = node::int(node, "block_size", 0).ok()? != 0;
    let fits = scales.len() == 1 || shape.get(axis) == Some(&scales.len());
    if blocks || !fits || zeros.len() != scales.len() {
        return None;
    }
    let inner: usize = shape.iter().skip(axis + 1).product();
    let mut values = tensor::floats(&integers).ok()?;
    for (index, value) in values.iter_mut().enumerate() {
        let at = if scales.len() == 1 { 0 } else { index / inner % scales.len() };
        *value = (*value - zeros[at]) * scales[at];
    }
    tensor::write(node.output.first()?, &Tensor::from_shape(&shape, &values).ok()?)
}

/// Takes out `Identity` and `Dropout` nodes between other nodes.
fn idle(graph: &mut GraphProto) {
    let outputs: HashSet<String> = graph.output.iter().map(|port| port.name.clone()).collect();
    let captured: HashSet<String> = {
        let mut names = HashSet::new();
        for node in &graph.node {
            crate::onnx::captured_names(node, &mut |name| _ = names.insert(name.to_owned()));
        }
        names
    };
    let mut renamed: HashMap<String, String> = HashMap::new();
    graph.node.retain(|node| {
        let idle = matches!(node.op_type.as_str(), "Identity" | "Dropout") && node.domain.is_empty();
        let (Some(from), Some(to), true) = (node.input.first(), node.output.first(), idle) else { return true };
        let others = node.output.iter().skip(1).any(|name| !name.is_empty());
        if others || outputs.contains(to) || captured.contains(to) {
            return true;
        }
        renamed.insert(to.clone(), from.clone());
        false
    });
    let last = |name: &String| {
        let mut name = name;
        while let Some(next) = renamed.get(name) {
            name = next;
        }
        name.clone()
    };
    for input in graph.node.iter_mut().flat_map(|node| &mut node.input) {
        if renamed.contains_key(input) {
            *input = last(input);
        }
    }
}

/// Folds every `BatchNormalization` whose input is a `Conv`, a `ConvTranspose` or a `Gemm` with constant weights that nothing else
/// reads.
fn normalisations(graph: &mut GraphProto) -> usize {
    let mut folded = 0;
    while let Some(fold) = next_fold(graph) {
        let Fold { product, norm, weights, bias } = fold;
        let output = graph.node[norm].output[0].clone();
        let node = &mut graph.node[product];
        node.input.truncate(2);
        (node.input[1], node.output[0]) = (weights.name.clone(), output);
        node.input.push(bias.name.clone());
        graph.initializer.extend([weights, bias]);
        graph.node.remove(norm);
        folded += 1;
    }
    folded
}

struct Fold {
    product: usize,
    norm: usize,
    weights: TensorProto,
    bias: TensorProto,
}

fn next_fold(graph: &GraphProto) -> Option<Fold> {
    let view = GraphView::new(graph);
    graph.node.iter().enumerate().filter(|(_, node)| node.op_type == "BatchNormalization").find_map(|(norm, _)| {
        let product = view.producer(node::input(&graph.node[norm], 0)?)?;
        fold(&view, product, norm)
    })
}

fn fold(view: &GraphView<'_>, product: usize, norm: usize) -> Option<Fold> {
    let (layer, node) = (view.node(product), view.node(norm));
    let between = layer.output.first()?;
    if view.is_kept(between) || view.consumers(between).len() != 1 || node::only_output(node).is_err() {
        return None;
    }
    let axis = output_axis(layer)?;
    let old = view.constant(node::input(layer, 1)?)?;
    let (gains, shifts) = affine(view, node)?;
    let shape = old.shape().to_vec();
    let group = usize::try_from(node::int(layer, "group", 1).ok()?).ok()?;
    // A transposed convolution has the outputs of one group along its second axis.
    if (layer.op_type == "ConvTranspose" && group != 1) || shape.get(axis) != Some(&gains.len()) {
        return None;
    }
    let bias = match node::input(layer, 2) {
        Some(name) => tensor::floats(&view.constant(name)?).ok()?,
        None => vec![0.0; gains.len()],
    };
    if bias.len() != gains.len() {
        return None;
    }
    let inner: usize = shape[axis + 1..].iter().product();
    let mut values = tensor::floats(&old).ok()?;
    for (index, value) in values.iter_mut().enumerate() {
        *value *= gains[index / inner % gains.len()];
    }
    let folded = (0..gains.len()).map(|c| bias[c] * gains[c] + shifts[c]).collect::<Vec<f32>>();
    let name = |part: &str| unused(view.graph(), format!("{}.{part}", node.name));
    let mut bias = build::floats(name("folded_bias"), &folded);
    bias.dims = vec![folded.len() as i64];
    Some(Fold {
        product,
        norm,
        weights: tensor::write(&name("folded_weights"), &Tensor::from_shape(&shape, &values).ok()?)?,
        bias,
    })
}

/// Makes a depthwise convolution of one pixel of each normalisation that no layer could take in: it is one, and can be quantised as one.
pub fn spread(graph: &mut GraphProto, facts: &HashMap<String, TensorFact>) {
    for index in 0..graph.node.len() {
        if graph.node[index].op_type != "BatchNormalization" {
            continue;
        }
        let Some((weights, bias)) = pixel(&GraphView::new(graph), facts, index) else { continue };
        let node = &mut graph.node[index];
        node.op_type = "Conv".into();
        node.attribute = vec![build::int("group", weights.dims[0])];
        node.input.truncate(1);
        node.input.extend([weights.name.clone(), bias.name.clone()]);
        graph.initializer.extend([weights, bias]);
    }
}

/// Weights and bias of the convolution that a normalisation of a picture or a sequence is.
fn pixel(
    view: &GraphView<'_>,
    facts: &HashMap<String, TensorFact>,
    index: usize,
) -> Option<(TensorProto, TensorProto)> {
    let node = view.node(index);
    let rank = facts.get(node::input(node, 0)?)?.shape.as_ref()?.len();
    if rank < 3 || node::only_output(node).is_err() {
        return None;
    }
    let (gains, shifts) = affine(view, node)?;
    let mut shape = vec![1; rank];
    shape[0] = gains.len();
    let write = |part: &str, shape: &[usize], values: &[f32]| {
        let name = unused(view.graph(), format!("{}.{part}", node.name));
        tensor::write(&name, &Tensor::from_shape(shape, values).ok()?)
    };
    Some((write("weights", &shape, &gains)?, write("bias", &[shifts.len()], &shifts)?))
}

/// Factors that a normalisation with constants multiplies the channels by, and terms that it then adds.
fn affine(view: &GraphView<'_>, node: &NodeProto) -> Option<(Vec<f32>, Vec<f32>)> {
    let list = |index: usize| tensor::floats(&view.constant(node::input(node, index)?)?).ok();
    let (scale, shift, mean, variance) = (list(1)?, list(2)?, list(3)?, list(4)?);
    let epsilon = node::float(node, "epsilon", EPSILON).ok()?;
    if [&shift, &mean, &variance].iter().any(|list| list.len() != scale.len()) {
        return None;
    }
    let gains: Vec<f32> = scale.iter().zip(&variance).map(|(s, v)| s / (v + epsilon).sqrt()).collect();
    let shifts = (0..gains.len()).map(|c| shift[c] - mean[c] * gains[c]).collect();
    Some((gains, shifts))
}

/// Makes one `Gemm` of each product of a matrix with constant weights and of the constant that is added to it: its bias can then be put
/// right and held in integers.
pub fn biases(graph: &mut GraphProto, facts: &HashMap<String, TensorFact>) {
    let mut index = 0;
    while index < graph.node.len() {
        // An index over the graph is made only for what may change it.
        let found = match graph.node[index].op_type.as_str() {
            "MatMul" => bias_of(&GraphView::new(graph), facts, index),
            _ => None,
        };
        if let Some((sum, bias)) = found {
            let output = graph.node[sum].output[0].clone();
            let node = &mut graph.node[index];
            node.op_type = "Gemm".into();
            node.input.push(bias.name.clone());
            node.output[0] = output;
            graph.initializer.push(bias);
            graph.node.remove(sum);
        }
        index += 1;
    }
}

/// The sum behind a product and the constant in it, as a list.
fn bias_of(view: &GraphView<'_>, facts: &HashMap<String, TensorFact>, index: usize) -> Option<(usize, TensorProto)> {
    let node = view.node(index);
    let rank = |name: &str| facts.get(name).and_then(|fact| fact.shape.as_ref()).map(Vec::len);
    if rank(node::input(node, 0)?) != Some(2) {
        return None;
    }
    let weights = view.initializer(node::input(node, 1)?).filter(|weights| weights.dims.len() == 2)?;
    let product = node.output.first()?;
    let [sum] = *view.consumers(product) else { return None };
    let reader = view.node(sum);
    if reader.op_type != "Add" || view.is_kept(product) {
        return None;
    }
    let other = node::inputs(reader).find(|name| name != product)?;
    let bias = view.initializer(other).filter(|bias| bias.data_type == weights.data_type)?;
    let outputs = *weights.dims.get(1)?;
    let fits = bias.dims.last() == Some(&outputs) && tensor::elements(bias) == usize::try_from(outputs).ok();
    fits.then(|| {
        let name = unused(view.graph(), format!("{}.bias", node.name));
        (sum, TensorProto { name, dims: vec![outputs], ..bias.clone() })
    })
}

/// Axis of a layer's weights that runs over its outputs; `None` where it is no such layer, or one that multiplies its product.
pub fn output_axis(layer: &NodeProto) -> Option<usize> {
    match layer.op_type.as_str() {
        "Conv" => Some(0),
        "ConvTranspose" => Some(1),
        "Gemm" => {
            let plain = node::float(layer, "alpha", 1.0) == Ok(1.0) && node::float(layer, "beta", 1.0) == Ok(1.0);
            let turned = node::flag(layer, "transA").ok()?;
            (plain && !turned).then_some(if node::flag(layer, "transB").ok()? { 0 } else { 1 })
        }
        _ => None,
    }
}

/// Drops initializers that nothing reads, and what the file says of tensors in between.
pub fn sweep(graph: &mut GraphProto) {
    let mut read: HashSet<String> = graph.output.iter().map(|port| port.name.clone()).collect();
    for node in &graph.node {
        read.extend(node.input.iter().cloned());
        crate::onnx::captured_names(node, &mut |name| _ = read.insert(name.to_owned()));
    }
    graph.initializer.retain(|tensor| read.contains(&tensor.name));
    let initializers: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    graph.input.retain(|port| !initializers.contains(port.name.as_str()));
    graph.value_info.clear();
    graph.quantization_annotation.clear();
    graph.node.iter_mut().for_each(|node| node.doc_string.clear());
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::tensor_proto::DataType;

    use super::*;
    use crate::onnx::build::{NodeBuilder, model, port_of_shape, untyped_port};

    fn list(name: &str, values: &[f32]) -> TensorProto {
        let mut proto = build::floats(name, values);
        proto.dims = vec![values.len() as i64];
        proto
    }

    fn weights(name: &str, shape: &[usize], values: &[f32]) -> TensorProto {
        tensor::write(name, &Tensor::from_shape(shape, values).unwrap()).unwrap()
    }

    #[test]
    fn a_normalisation_goes_into_the_weights_of_each_output() {
        let graph = GraphProto {
            node: vec![
                NodeBuilder::new("Conv", ["x", "w"]).named("c", ["a"]),
                NodeBuilder::new("Dropout", ["a"]).named("", ["b"]),
                NodeBuilder::new("BatchNormalization", ["b", "s", "t", "m", "v"])
                    .float("epsilon", 0.0)
                    .named("n", ["y"]),
            ],
            initializer: vec![
                weights("w", &[2, 1, 1, 2], &[1.0, 2.0, 3.0, 4.0]),
                list("s", &[2.0, 1.0]),
                list("t", &[0.5, 0.0]),
                list("m", &[1.0, 2.0]),
                list("v", &[4.0, 1.0]),
            ],
            input: vec![port_of_shape("x", DataType::Float, &[1, 1, 1, 2])],
            output: vec![untyped_port("y")],
            ..Default::default()
        };
        let mut model = model(graph, 13);
        assert_eq!(plain(&mut model), 1);
        let graph = model.graph.unwrap();
        let view = GraphView::new(&graph);
        assert_eq!(graph.node.len(), 1);
        let node = &graph.node[0];
        assert_eq!(
            (node.op_type.as_str(), &node.input[0], &node.output[0]),
            ("Conv", &"x".to_owned(), &"y".to_owned())
        );
        let read = |index: usize| tensor::floats(&view.constant(&node.input[index]).unwrap()).unwrap();
        // Gains are 2/√4 = 1 and 1/√1 = 1; shifts −1·1+0.5 and −2·1+0.
        assert_eq!((read(1), read(2)), (vec![1.0, 2.0, 3.0, 4.0], vec![-0.5, -2.0]));
        assert_eq!(graph.initializer.len(), 2, "the old constants are gone");
    }

    #[test]
    fn a_normalisation_by_itself_becomes_a_layer_of_one_pixel() {
        let mut graph = GraphProto {
            node: vec![
                NodeBuilder::new("BatchNormalization", ["x", "s", "t", "m", "v"])
                    .float("epsilon", 0.0)
                    .named("n", ["y"]),
            ],
            initializer: vec![
                list("s", &[2.0, 3.0]),
                list("t", &[0.5, 0.0]),
                list("m", &[1.0, 2.0]),
                list("v", &[4.0, 1.0]),
            ],
            ..Default::default()
        };
        let fact = |rank| TensorFact { dtype: None, shape: Some(vec![2; rank]) };
        let mut flat = graph.clone();
        spread(&mut flat, &HashMap::from([("x".to_owned(), fact(2))]));
        assert_eq!(flat, graph, "a row has no pixels");
        spread(&mut graph, &HashMap::from([("x".to_owned(), fact(4))]));
        let view = GraphView::new(&graph);
        let node = view.node(0);
        assert_eq!((node.op_type.as_str(), node::int(node, "group", 1)), ("Conv", Ok(2)));
        let read = |index: usize| view.constant(&node.input[index]).unwrap();
        assert_eq!((read(1).shape(), tensor::floats(&read(1))), (&[2, 1, 1, 1][..], Ok(vec![1.0, 3.0])));
        assert_eq!(tensor::floats(&read(2)), Ok(vec![-0.5, -6.0]));
    }

    #[test]
    fn what_somebody_else_reads_is_not_folded() {
        let graph = GraphProto {
            node: vec![
                NodeBuilder::new("Conv", ["x", "w"]).named("c", ["a"]),
                NodeBuilder::new("BatchNormalization", ["a", "s", "s", "s", "s"]).named("n", ["y"]),
                NodeBuilder::new("Relu", ["a"]).named("r", ["z"]),
            ],
            initializer: vec![weights("w", &[1, 1, 1, 1], &[1.0]), list("s", &[1.0])],
            output: vec![untyped_port("y"), untyped_port("z")],
            ..Default::default()
        };
        let mut model = model(graph, 13);
        assert_eq!(plain(&mut model), 0);
        assert_eq!(model.graph.unwrap().node.len(), 3);
    }

    #[test]
    fn names_that_the_graph_gives_away_stay() {
        let graph = GraphProto {
            node: vec![
                NodeBuilder::new("Identity", ["x"]).named("i", ["y"]),
                NodeBuilder::new("Constant", [""; 0]).float("value_float", 2.0).named("k", ["z"]),
                NodeBuilder::new("Constant", [""; 0]).float("value_float", 2.0).named("k", ["two"]),
                NodeBuilder::new("Mul", ["x", "two"]).named("m", ["w"]),
            ],
            output: ["y", "z", "w"].map(untyped_port).to_vec(),
            ..Default::default()
        };
        let mut model = model(graph, 13);
        plain(&mut model);
        let graph = model.graph.unwrap();
        assert_eq!(graph.node.iter().map(|n| n.op_type.as_str()).collect::<Vec<_>>(), ["Identity", "Constant", "Mul"]);
        assert_eq!(graph.initializer[0].name, "two");
    }
}
