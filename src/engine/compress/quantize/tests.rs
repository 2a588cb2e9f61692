//! Whole small nets, quantised: what is rounded, what is written, and how little is lost.

use std::collections::HashSet;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto};
use tract_onnx::prelude::Tensor;

use super::super::run::graph_of;
use super::super::testing::Tract;
use super::place::place;
use super::*;
use crate::onnx::build::{NodeBuilder, model, port_of_shape, untyped_port};
use crate::onnx::{GraphView, tensor};

/// Numbers without a pattern, about −1 to 1.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn constant(name: &str, shape: &[usize], scale: f32, seed: u64) -> TensorProto {
    let values: Vec<f32> = numbers(shape.iter().product(), seed).into_iter().map(|v| v * scale).collect();
    tensor::write(name, &Tensor::from_shape(shape, &values).unwrap()).unwrap()
}

fn samples(shape: &[usize], count: u64) -> Vec<Vec<Tensor>> {
    let one = |seed| vec![Tensor::from_shape(shape, &numbers(shape.iter().product(), seed + 1000)).unwrap()];
    (0..count).map(one).collect()
}

/// A net of a residual block, a `SiLU`, a squeeze and excitation, and a head in floats.
fn net() -> ModelProto {
    let node = |operator: &str, inputs: &[&str], output: &str| {
        NodeBuilder::new(operator, inputs.to_vec()).named(output, [output])
    };
    let conv = |inputs: &[&str], output: &str| {
        NodeBuilder::new("Conv", inputs.to_vec()).ints("pads", &[1; 4]).named(output, [output])
    };
    let graph = GraphProto {
        node: vec![
            conv(&["x", "w1", "b1"], "c1"),
            node("Relu", &["c1"], "r1"),
            conv(&["r1", "w2"], "c2"),
            node("Sigmoid", &["c2"], "s2"),
            node("Mul", &["c2", "s2"], "m2"),
            node("GlobalAveragePool", &["m2"], "p"),
            node("Conv", &["p", "w3", "b3"], "c3"),
            node("Sigmoid", &["c3"], "s3"),
            node("Mul", &["m2", "s3"], "m3"),
            node("Add", &["m3", "r1"], "a"),
            node("Relu", &["a"], "r2"),
            NodeBuilder::new("Flatten", ["r2"]).named("f", ["f"]),
            node("MatMul", &["f", "w4"], "d"),
            node("Add", &["d", "b4"], "e"),
            node("Softmax", &["e"], "y"),
        ],
        initializer: vec![
            constant("w1", &[8, 3, 3, 3], 0.3, 1),
            constant("b1", &[8], 0.2, 2),
            constant("w2", &[8, 8, 3, 3], 0.25, 3),
            constant("w3", &[8, 8, 1, 1], 0.6, 4),
            constant("b3", &[8], 0.3, 5),
            constant("w4", &[8 * 36, 5], 0.1, 6),
            constant("b4", &[5], 0.2, 7),
        ],
        input: vec![port_of_shape("x", DataType::Float, &[1, 3, 6, 6])],
        output: vec![untyped_port("y")],
        ..Default::default()
    };
    model(graph, 13)
}

fn settings(effort: Effort) -> Settings {
    Settings { effort, ..Settings::default() }
}

#[test]
fn what_goes_into_a_quantised_node_is_rounded_and_what_lies_inside_of_a_function_is_not() {
    let samples = samples(&[1, 3, 6, 6], 8);
    let prepared = Prepared::new(net(), &samples, &Tract).unwrap();
    let view = GraphView::new(graph_of(prepared.model()).unwrap());
    let placement = place(&view, &prepared.facts, &HashSet::new());
    // c1 and a are bounded where they are made, s2 is a step of c2·σ(c2), and behind the last layer all is in floats.
    assert_eq!(placement.rounded, ["x", "r1", "c2", "m2", "p", "c3", "s3", "m3", "r2", "f"]);
    assert_eq!(placement.roots.get("m2").map(String::as_str), Some("c2"));
    assert_eq!(placement.range_of("f"), "r2");
    assert_eq!(placement.layers().count(), 4);
}

#[test]
fn a_quantised_net_is_close_to_its_float_form_and_closer_with_more_pains() {
    let samples = samples(&[1, 3, 6, 6], 24);
    let prepared = Prepared::new(net(), &samples, &Tract).unwrap();
    let others: Vec<Vec<Tensor>> = self::samples(&[1, 3, 6, 6], 64)[24..].to_vec();
    let all: Vec<usize> = (0..others.len()).collect();
    let noise_of = |effort| {
        let quantized = prepared.quantize(&settings(effort)).unwrap();
        noise(&Tract, [prepared.model(), &quantized.model], &others, &all).unwrap()
    };
    let [low, normal, high] = [Effort::Low, Effort::Normal, Effort::High].map(noise_of);
    assert!(low < 0.02 && normal < 0.02 && high < 0.02, "{low} {normal} {high}");
    assert!(high < low, "{low} {high}");
}

#[test]
fn the_file_holds_integers_and_no_weights_in_floats() {
    let samples = samples(&[1, 3, 6, 6], 8);
    let prepared = Prepared::new(net(), &samples, &Tract).unwrap();
    for (activations, kind) in [(Activations::U8, DataType::Uint8), (Activations::S8, DataType::Int8)] {
        let quantized = prepared.quantize(&Settings { activations, ..settings(Effort::Normal) }).unwrap();
        let graph = quantized.model.graph.unwrap();
        let largest = graph.initializer.iter().filter(|t| t.data_type == DataType::Float as i32);
        assert!(largest.map(|t| tensor::elements(t).unwrap()).max() <= Some(8), "only scales are floats");
        let zeros = graph.node.iter().filter(|n| n.op_type == "QuantizeLinear").map(|n| n.input[2].clone());
        let zeros: Vec<String> = zeros.collect();
        // Those of the placement, and the result of the last layer, which has much of the work here.
        assert_eq!(zeros.len(), 11);
        for zero in zeros {
            let tensor = graph.initializer.iter().find(|t| t.name == zero).unwrap();
            assert_eq!(tensor.data_type, kind as i32);
        }
        assert_eq!(graph.output[0].name, "y");
    }
}

#[test]
fn names_that_the_file_has_already_are_not_given_again() {
    let mut model = net();
    let graph = model.graph.as_mut().unwrap();
    // Node "d" becomes a layer with a bias, which would be called so.
    for (from, to) in [("b3", "d.bias"), ("b1", "scale1"), ("w2", "bytes1")] {
        graph.initializer.iter_mut().filter(|t| t.name == from).for_each(|t| t.name = to.into());
        graph
            .node
            .iter_mut()
            .flat_map(|n| &mut n.input)
            .filter(|name| *name == from)
            .for_each(|name| *name = to.into());
    }
    let samples = samples(&[1, 3, 6, 6], 8);
    let prepared = Prepared::new(model, &samples, &Tract).unwrap();
    let quantized = prepared.quantize(&Settings::default()).unwrap();
    let reference = Prepared::new(net(), &samples, &Tract).unwrap();
    let noise = noise(&Tract, [reference.model(), &quantized.model], &samples, &[0, 1, 2, 3]).unwrap();
    assert!(noise < 0.02, "{noise}");
    assert_names_are_unique(&quantized.model);
}

/// Checks that no two tensors and no two nodes have the same name, as onnxruntime asks.
fn assert_names_are_unique(model: &ModelProto) {
    let graph = model.graph.as_ref().unwrap();
    let constants = graph.initializer.iter().map(|tensor| &tensor.name);
    let tensors: Vec<&String> = constants.chain(graph.node.iter().flat_map(|node| &node.output)).collect();
    let nodes: Vec<&String> = graph.node.iter().map(|node| &node.name).collect();
    for names in [tensors, nodes] {
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");
    }
}

#[test]
fn every_method_and_one_scale_for_a_whole_layer_give_a_model_that_runs() {
    let samples = samples(&[1, 3, 6, 6], 8);
    let prepared = Prepared::new(net(), &samples, &Tract).unwrap();
    for method in [Method::MinMax, Method::Percentile, Method::Entropy, Method::Mse] {
        for per_channel in [true, false] {
            let quantized = prepared.quantize(&Settings { method, per_channel, ..Settings::default() }).unwrap();
            let noise = noise(&Tract, [prepared.model(), &quantized.model], &samples, &[0, 1, 2]).unwrap();
            assert!(noise < 0.2, "{method:?} {per_channel}: {noise}");
        }
    }
}

#[test]
fn nodes_named_stay_in_floats_and_the_report_says_so() {
    let samples = samples(&[1, 3, 6, 6], 8);
    let prepared = Prepared::new(net(), &samples, &Tract).unwrap();
    let keep_float = HashSet::from(["c2".to_owned()]);
    let quantized = prepared.quantize(&Settings { keep_float, ..Settings::default() }).unwrap();
    let layer = quantized.layers.iter().find(|layer| layer.name == "c2").unwrap();
    assert_eq!((layer.float.as_deref(), layer.snr_db), (Some("kept in floats"), None));
    assert_eq!(quantized.layers.iter().filter(|layer| layer.float.is_none()).count(), 3);
    let graph = quantized.model.graph.unwrap();
    let kept = graph.node.iter().find(|node| node.name == "c2").unwrap();
    assert_eq!(kept.input[1], "w2");
}

#[test]
fn layers_are_kept_in_floats_only_as_far_as_the_target_asks() {
    let samples = samples(&[1, 3, 6, 6], 12);
    let prepared = Prepared::new(net(), &samples, &Tract).unwrap();
    let all: Vec<usize> = (0..samples.len()).collect();
    let mut drop = |model: &ModelProto| noise(&Tract, [prepared.model(), model], &samples, &all);
    let floats = |quantized: &Quantized| quantized.layers.iter().filter(|layer| layer.float.is_some()).count();
    let (whole, lost) = prepared.quantize_within(&Settings::default(), 0.5, &mut drop).unwrap();
    assert_eq!(floats(&whole), 0);
    let (some, less) = prepared.quantize_within(&Settings::default(), lost * 0.7, &mut drop).unwrap();
    assert!(less <= lost * 0.7 && (1..4).contains(&floats(&some)), "{lost} {less} {}", floats(&some));
    let error = prepared.quantize_within(&Settings::default(), 0.0, &mut drop).unwrap_err();
    assert!(error.to_string().contains("no layer can be in bytes"), "{error}");
}

#[test]
fn what_cannot_be_quantised_is_refused_by_name() {
    let with = |change: &dyn Fn(&mut GraphProto)| {
        let mut model = net();
        change(model.graph.as_mut().unwrap());
        let samples = samples(&[1, 3, 6, 6], 4);
        let result = Prepared::new(model, &samples, &Tract).and_then(|p| p.quantize(&Settings::default()).map(drop));
        result.unwrap_err().to_string()
    };
    let nan = with(&|graph| graph.initializer[2].float_data[3] = f32::NAN);
    assert!(nan.contains("\"c2\" (Conv)") && nan.contains("NaN"), "{nan}");
    let quantized = with(&|graph| {
        graph.node.push(NodeBuilder::new("DynamicQuantizeLinear", ["x"]).named("q", ["q", "s", "z"]));
    });
    assert!(quantized.contains("quantised already") && quantized.contains("\"q\""), "{quantized}");
    let nothing = with(&|graph| {
        graph.node = vec![NodeBuilder::new("Relu", ["x"]).named("y", ["y"])];
    });
    assert!(nothing.contains("no layer") && nothing.contains("Relu"), "{nothing}");
    let none: Vec<Vec<Tensor>> = Vec::new();
    let error = Prepared::new(net(), &none, &Tract).err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), Some("there is no calibration sample"));
    let infinite = vec![vec![Tensor::from_shape(&[1, 3, 6, 6], &[f32::INFINITY; 108]).unwrap()]];
    let error = Prepared::new(net(), &infinite, &Tract).unwrap().quantize(&Settings::default()).unwrap_err();
    assert!(error.to_string().contains("\"x\"") && error.to_string().contains("inf"), "{error}");
}

#[test]
fn a_model_of_an_old_operator_set_becomes_one_with_scales_by_channel() {
    let mut old = net();
    old.opset_import[0].version = 10;
    let samples = samples(&[1, 3, 6, 6], 8);
    let prepared = Prepared::new(old, &samples, &Tract).unwrap();
    assert_eq!(crate::onnx::opset(prepared.model()), 13);
    let quantized = prepared.quantize(&Settings::default()).unwrap();
    let plain = Prepared::new(net(), &samples, &Tract).unwrap();
    let noise = noise(&Tract, [plain.model(), &quantized.model], &samples, &[0, 1, 2, 3]).unwrap();
    assert!(noise < 0.02, "{noise}");
    let mut ancient = net();
    ancient.opset_import[0].version = 6;
    let error = Prepared::new(ancient, &samples, &Tract).err().unwrap().to_string();
    assert!(error.contains("operator set is 6"), "{error}");
}

/// A net of one node behind `x`, and a layer behind that.
fn one(node: tract_onnx::pb::NodeProto, constants: Vec<TensorProto>) -> ModelProto {
    let behind = NodeBuilder::new("Conv", [node.output[0].as_str(), "behind"]).named("last", ["y"]);
    let mut initializer = constants;
    initializer.push(constant("behind", &[2, 4, 1, 1], 0.5, 9));
    let graph = GraphProto {
        node: vec![node, behind],
        initializer,
        input: vec![port_of_shape("x", DataType::Float, &[1, 4, 6, 6])],
        output: vec![untyped_port("y")],
        ..Default::default()
    };
    model(graph, 13)
}

#[test]
fn layers_of_every_form_are_close_to_their_floats_or_stay_floats() {
    let conv = |operator: &str| NodeBuilder::new(operator, ["x", "w", "b"]);
    let weights = |shape: &[usize], bias: usize| vec![constant("w", shape, 0.3, 1), constant("b", &[bias], 0.3, 2)];
    let cases = [
        ("grouped", conv("Conv").int("group", 2).named("n", ["n"]), weights(&[4, 2, 3, 3], 4), true),
        ("depthwise", conv("Conv").int("group", 4).named("n", ["n"]), weights(&[4, 1, 3, 3], 4), true),
        ("transposed", conv("ConvTranspose").named("n", ["n"]), weights(&[4, 4, 2, 2], 4), true),
        (
            "transposed in groups",
            conv("ConvTranspose").int("group", 2).named("n", ["n"]),
            weights(&[4, 2, 2, 2], 4),
            false,
        ),
        ("dilated", conv("Conv").ints("dilations", &[2, 2]).named("n", ["n"]), weights(&[4, 4, 2, 2], 4), true),
    ];
    let samples = samples(&[1, 4, 6, 6], 12);
    let all: Vec<usize> = (0..samples.len()).collect();
    for (name, node, constants, in_bytes) in cases {
        let prepared = Prepared::new(one(node, constants), &samples, &Tract).unwrap();
        for effort in [Effort::Low, Effort::Normal, Effort::High] {
            let quantized = prepared.quantize(&settings(effort)).unwrap();
            let noise = noise(&Tract, [prepared.model(), &quantized.model], &samples, &all).unwrap();
            assert!(noise < 0.01, "{name} {effort:?}: {noise}");
            let layer = quantized.layers.iter().find(|layer| layer.name == "n").unwrap();
            assert_eq!(layer.float.is_none(), in_bytes, "{name}: {:?}", layer.float);
        }
    }
}

#[test]
fn bounds_that_are_computed_stay_in_floats_and_one_bias_for_all_outputs_is_taken() {
    let relu = |from: &str, to: &str| NodeBuilder::new("Relu", [from]).named(to, [to]);
    let mut graph = net().graph.unwrap();
    // The upper bound of what the first layer gives comes from the input.
    graph.node[1] = NodeBuilder::new("Clip", ["c1", "", "top"]).named("r1", ["r1"]);
    graph.node.insert(0, NodeBuilder::new("ReduceMax", ["x"]).int("keepdims", 0).named("top", ["top"]));
    graph.node.push(NodeBuilder::new("Gemm", ["f", "w4", "rows"]).named("g", ["g"]));
    graph.node.push(relu("g", "z"));
    graph.initializer.push(constant("rows", &[1], 0.3, 8));
    graph.output.push(untyped_port("z"));
    let samples = samples(&[1, 3, 6, 6], 8);
    let prepared = Prepared::new(model(graph, 13), &samples, &Tract).unwrap();
    let quantized = prepared.quantize(&Settings::default()).unwrap();
    let noise = noise(&Tract, [prepared.model(), &quantized.model], &samples, &[0, 1, 2, 3, 4, 5, 6, 7]).unwrap();
    assert!(noise < 0.02, "{noise}");
    assert_names_are_unique(&quantized.model);
}
