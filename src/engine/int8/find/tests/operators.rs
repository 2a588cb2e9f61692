//! One operator at a time.

use tract_onnx::pb::tensor_proto::DataType;

use super::build::{Attribute, Builder};
use crate::int8::find::Idle;
use crate::int8::graph::{Clamp, Constant, Graph, Op, Quant};

/// Operators of a graph by name, separated by spaces.
fn names(graph: &Graph) -> String {
    graph.nodes.iter().map(|n| n.op.name()).collect::<Vec<_>>().join(" ")
}

fn conv(graph: &Graph) -> &crate::int8::graph::Conv {
    graph.nodes.iter().find_map(|n| if let Op::Conv(conv) = &n.op { Some(conv) } else { None }).unwrap()
}

fn table(graph: &Graph) -> Vec<i8> {
    graph.nodes.iter().find_map(|n| if let Op::Lookup(table) = &n.op { Some(table.to_vec()) } else { None }).unwrap()
}

/// `x` in steps of ⅛ → Conv of one pixel, two channels → what `behind` adds → steps of ¼ around −100.
fn pixel(behind: impl FnOnce(&mut Builder, String) -> String) -> Builder {
    let mut b = Builder::new(&[1, 2, 3, 3]);
    let x = b.qdq("a", "x", 0.125, 3);
    let w = b.weights("w", &[2, 2, 1, 1], &[1.0, -2.0, 3.0, 4.0], &[0.5, 0.25], 0);
    let y = b.node("Conv", "conv", &[&x, &w], &[]);
    let y = behind(&mut b, y);
    let y = b.qdq("y", &y, 0.25, -100);
    b.output(&y);
    b
}

#[test]
fn a_qdq_pattern_keeps_its_integers() {
    let graph = pixel(|_, y| y).partition();
    assert_eq!(names(&graph), "Conv");
    assert_eq!(graph.nodes[0].name, "conv");
    let conv = conv(&graph);
    assert_eq!(conv.weights[..], [1, -2, 3, 4]);
    assert_eq!((&conv.weight_scales[..], &conv.bias[..]), (&[0.5, 0.25][..], &[0, 0][..]));
    assert_eq!(conv.clamp, Clamp::NONE);
    let quant = |id: usize| graph.tensors[id].quant;
    assert_eq!(quant(graph.inputs[0].tensor), Quant { scale: 0.125, zero_point: 3 });
    assert_eq!(quant(graph.outputs[0].tensor), Quant { scale: 0.25, zero_point: -100 });
}

#[test]
fn activations_become_limits() {
    let relu6 = |b: &mut Builder, y: String| {
        let (low, high) = (b.float("low", &[0.0]), b.float("high", &[6.0]));
        b.node("Clip", "clip", &[&y, &low, &high], &[])
    };
    assert_eq!(conv(&pixel(relu6).partition()).clamp, Clamp { low: -100, high: -76 });
    let relu = |b: &mut Builder, y: String| b.node("Relu", "relu", &[&y], &[]);
    assert_eq!(conv(&pixel(relu).partition()).clamp, Clamp { low: -100, high: 127 });
    let min_max = |b: &mut Builder, y: String| {
        let (low, high) = (b.float("low", &[-1.0]), b.float("high", &[2.0]));
        let y = b.node("Max", "max", &[&low, &y], &[]);
        b.node("Min", "min", &[&y, &high], &[])
    };
    assert_eq!(conv(&pixel(min_max).partition()).clamp, Clamp { low: -104, high: -92 });
}

#[test]
fn terms_and_factors_are_folded() {
    // Sums of the first channel count in 1⁄16, those of the second in 1⁄32.
    let term = |b: &mut Builder, y: String| {
        let term = b.constant("term", &[2, 1, 1], DataType::Float, &[1.0, -2.0]);
        b.node("Add", "add", &[&y, &term], &[])
    };
    assert_eq!(conv(&pixel(term).partition()).bias, [16, -64]);
    let normalise = |b: &mut Builder, y: String| {
        let [scale, bias, mean] =
            [("s", [2.0, -1.0]), ("b", [0.0, 3.0]), ("m", [1.0, 0.5])].map(|(n, v)| b.float(n, &v));
        let variance = b.float("v", &[1.0, 4.0]);
        b.node(
            "BatchNormalization",
            "norm",
            &[&y, &scale, &bias, &mean, &variance],
            &[("epsilon", Attribute::Float(0.0))],
        )
    };
    let graph = pixel(normalise).partition();
    // 2 · y − 2, and −½ · y + 3¼.
    assert_eq!(conv(&graph).weight_scales, [1.0, -0.125]);
    assert_eq!(conv(&graph).bias, [-16, -208]);
    assert_eq!(names(&graph), "Conv");
}

#[test]
fn a_factor_of_nothing_leaves_the_term() {
    let nothing = |b: &mut Builder, y: String| {
        let (factor, term) = (b.constant("f", &[2, 1, 1], DataType::Float, &[0.0, 1.0]), b.float("t", &[5.0]));
        let y = b.node("Mul", "mul", &[&y, &factor], &[]);
        b.node("Add", "add", &[&y, &term], &[])
    };
    let graph = pixel(nothing).partition();
    let conv = conv(&graph);
    assert_eq!(conv.weights[..], [0, 0, 3, 4]);
    let real = |c: usize| f64::from(conv.bias[c]) * f64::from(conv.weight_scales[c]) * 0.125;
    assert!((real(0) - 5.0).abs() < 1e-5 && (real(1) - 5.0).abs() < 1e-5);
}

#[test]
fn what_cannot_be_folded_is_named() {
    let sigmoid = |b: &mut Builder, y: String| b.node("Sigmoid", "gate", &[&y], &[]);
    assert!(pixel(sigmoid).why("conv").contains("Sigmoid \"gate\""));
    let mut read = pixel(|_, y| y);
    read.output("conv");
    assert!(read.why("conv").contains("leaves the model in floats"));
}

#[test]
fn an_integer_bias_of_any_scale_counts_in_sums() {
    let mut b = Builder::new(&[1, 1, 2, 2]);
    let x = b.qdq("a", "x", 0.5, 0);
    let w = b.weights("w", &[1, 1, 1, 1], &[7.0], &[0.25], 0);
    let bytes = b.constant("bias.ints", &[1], DataType::Int32, &[100.0]);
    let scale = b.float("bias.scale", &[0.25]);
    let bias = b.node("DequantizeLinear", "bias", &[&bytes, &scale], &[]);
    let y = b.node("Conv", "conv", &[&x, &w, &bias], &[]);
    let y = b.qdq("y", &y, 1.0, 0);
    b.output(&y);
    assert_eq!(conv(&b.partition()).bias, [200]);
}

#[test]
fn sums_that_leave_32_bits_stay_in_floats() {
    let mut b = pixel(|b: &mut Builder, y: String| {
        let term = b.float("term", &[1e9]);
        b.node("Add", "add", &[&y, &term], &[])
    });
    assert!(b.why("conv").contains("do not fit 32 bits"));
}

#[test]
fn unsigned_weights_wider_than_a_byte_have_a_zero_point() {
    // For each channel its weights, all with one zero point, and what they are as signed bytes with one of their own.
    let mut b = Builder::new(&[1, 2, 2, 2]);
    let x = b.qdq("a", "x", 0.5, 0);
    let rows = [255.0, 3.0, 0.0, 130.0, 0.0, 255.0, 20.0, 138.0];
    let bytes = b.constant("w.bytes", &[4, 2, 1, 1], DataType::Uint8, &rows);
    let (scale, zero) = (b.float("w.scale", &[0.5]), b.constant("w.zero", &[], DataType::Uint8, &[10.0]));
    let w = b.node("DequantizeLinear", "w", &[&bytes, &scale, &zero], &[]);
    let y = b.node("Conv", "conv", &[&x, &w], &[]);
    let y = b.qdq("y", &y, 1.0, 0);
    b.output(&y);
    let graph = b.partition();
    assert_eq!(names(&graph), "Conv");
    let conv = conv(&graph);
    assert_eq!(conv.weights[..], [127, -125, -10, 120, -128, 127, 9, 127]);
    assert_eq!(conv.weight_zeros[..], [-118, 0, -118, -1]);
}

#[test]
fn unsigned_weights_that_fit_a_byte_have_none() {
    let mut b = Builder::new(&[1, 2, 2, 2]);
    let x = b.qdq("a", "x", 0.5, 0);
    let bytes = b.constant("w.bytes", &[1, 2, 1, 1], DataType::Uint8, &[255.0, 0.0]);
    let (scale, zero) = (b.float("w.scale", &[0.5]), b.constant("w.zero", &[], DataType::Uint8, &[128.0]));
    let w = b.node("DequantizeLinear", "w", &[&bytes, &scale, &zero], &[]);
    let y = b.node("Conv", "conv", &[&x, &w], &[]);
    let y = b.qdq("y", &y, 1.0, 0);
    b.output(&y);
    let graph = b.partition();
    assert_eq!((&conv(&graph).weights[..], &conv(&graph).weight_zeros[..]), (&[127, -128][..], &[][..]));
}

#[test]
fn float_weights_stay_in_floats() {
    let mut b = Builder::new(&[1, 1, 2, 2]);
    let x = b.qdq("a", "x", 0.5, 0);
    let w = b.constant("w", &[1, 1, 1, 1], DataType::Float, &[0.3]);
    let y = b.node("Conv", "conv", &[&x, &w], &[]);
    let y = b.qdq("y", &y, 1.0, 0);
    b.output(&y);
    assert!(b.why("conv").contains("\"w\" is not quantised"));
}

#[test]
fn gemm_folds_its_factors_and_transposes_weights() {
    let mut b = Builder::new(&[3, 2]);
    let x = b.qdq("a", "x", 0.5, 0);
    let w = b.weights("w", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[0.5], 0);
    let c = b.float("c", &[1.0, 2.0, 3.0]);
    let factors = [("alpha", Attribute::Float(2.0)), ("beta", Attribute::Float(4.0))];
    let y = b.node("Gemm", "gemm", &[&x, &w, &c], &factors);
    let y = b.qdq("y", &y, 1.0, 0);
    b.output(&y);
    let graph = b.partition();
    let Op::MatMul(product) = &graph.nodes[0].op else { panic!("{}", names(&graph)) };
    assert_eq!(product.weights[..], [1, 4, 2, 5, 3, 6]);
    assert_eq!((&product.weight_scales[..], &product.bias[..]), (&[1.0; 3][..], &[8, 16, 24][..]));
}

#[test]
fn weights_on_the_left_multiply_columns() {
    let mut b = Builder::new(&[1, 3, 5]);
    let x = b.qdq("a", "x", 0.5, 0);
    let w = b.weights("w", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[0.5, 1.0], 0);
    let y = b.node("MatMul", "product", &[&w, &x], &[]);
    let y = b.qdq("y", &y, 1.0, 0);
    b.output(&y);
    assert_eq!(names(&b.partition()), "Transpose MatMul Transpose");
}

/// `x` in steps of 1⁄16 → what `make` makes of it → steps of 1⁄64.
fn function(make: impl FnOnce(&mut Builder, String) -> String) -> Vec<i8> {
    let mut b = Builder::new(&[4]);
    let x = b.qdq("a", "x", 0.0625, -8);
    let y = make(&mut b, x);
    let y = b.qdq("y", &y, 0.015625, 5);
    b.output(&y);
    let found = b.find(Idle::Keep);
    assert_eq!(found.partitions.len(), 1, "{:?}", found.verdicts);
    assert_eq!(names(&found.partitions[0].graph), "Lookup");
    table(&found.partitions[0].graph)
}

fn expected(f: impl Fn(f32) -> f32) -> Vec<i8> {
    let byte = |index: usize| {
        let x = f32::from(index as u8 as i8) * 0.0625 + 0.5;
        ((f(x) / 0.015625).round_ties_even() + 5.0).clamp(-128.0, 127.0) as i8
    };
    (0..256).map(byte).collect()
}

#[test]
fn functions_of_one_tensor_are_tables() {
    let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
    assert_eq!(function(|b, x| b.node("Sigmoid", "f", &[&x], &[])), expected(sigmoid));
    let swish = function(|b, x| {
        let gate = b.node("Sigmoid", "gate", &[&x], &[]);
        b.node("Mul", "f", &[&x, &gate], &[])
    });
    assert_eq!(swish, expected(|x| x * sigmoid(x)));
    let hard_swish = function(|b, x| {
        let [three, zero, six] = [("three", 3.0), ("zero", 0.0), ("six", 6.0)].map(|(n, v)| b.float(n, &[v]));
        let y = b.node("Add", "add", &[&x, &three], &[]);
        let y = b.node("Clip", "clip", &[&y, &zero, &six], &[]);
        let y = b.node("Mul", "mul", &[&x, &y], &[]);
        b.node("Div", "f", &[&y, &six], &[])
    });
    assert_eq!(hard_swish, expected(|x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0));
    let slope = function(|b, x| {
        let slope = b.float("slope", &[0.25]);
        b.node("PRelu", "f", &[&x, &slope], &[])
    });
    assert_eq!(slope, expected(|x| if x < 0.0 { 0.25 * x } else { x }));
}

#[test]
fn a_relu_on_bytes_needs_no_quantisation_of_its_own() {
    let mut b = Builder::new(&[1, 1, 2, 2]);
    let x = b.qdq("a", "x", 0.5, 10);
    let x = b.node("Relu", "relu", &[&x], &[]);
    let w = b.weights("w", &[1, 1, 1, 1], &[7.0], &[0.25], 0);
    let y = b.node("Conv", "conv", &[&x, &w], &[]);
    let y = b.qdq("y", &y, 1.0, 0);
    b.output(&y);
    let graph = b.partition();
    assert_eq!(names(&graph), "Lookup Conv");
    assert_eq!(table(&graph), (0..256).map(|byte| (byte as u8 as i8).max(10)).collect::<Vec<_>>());
}

/// `x` → bytes → what `make` makes → bytes again: the operators found, idle or not.
fn chain(shape: &[usize], make: impl FnOnce(&mut Builder, String) -> String) -> Graph {
    let mut b = Builder::new(shape);
    let x = b.qdq("a", "x", 0.5, 0);
    let y = make(&mut b, x);
    let y = b.qdq("y", &y, 0.25, 0);
    b.output(&y);
    let found = b.find(Idle::Keep);
    assert_eq!(found.partitions.len(), 1, "{:?}", found.verdicts);
    found.partitions.into_iter().next().unwrap().graph
}

#[test]
fn resize_between_neighbours() {
    let graph = chain(&[1, 1, 2, 2], |b, x| {
        let scales = b.float("scales", &[1.0, 1.0, 2.0, 1.0]);
        b.node("Resize", "resize", &[&x, "", &scales], &[("mode", Attribute::Text("linear"))])
    });
    let Op::Resize { rows, cols } = &graph.nodes[0].op else { panic!("{}", names(&graph)) };
    let taps: Vec<(usize, usize, f32)> = rows.iter().map(|t| (t.first, t.second, t.share)).collect();
    assert_eq!(taps, [(0, 1, 0.0), (0, 1, 0.25), (0, 1, 0.75), (1, 1, 0.0)]);
    assert!(cols.iter().enumerate().all(|(at, t)| t.first == at && t.share == 0.0));
}

#[test]
fn means_that_count_padding_but_not_what_lies_beyond() {
    let window = [
        ("kernel_shape", Attribute::Ints(vec![2, 2])),
        ("strides", Attribute::Ints(vec![2, 2])),
        ("pads", Attribute::Ints(vec![1, 1, 0, 0])),
        ("ceil_mode", Attribute::Int(1)),
        ("count_include_pad", Attribute::Int(1)),
    ];
    let graph = chain(&[1, 1, 4, 4], |b, x| b.node("AveragePool", "mean", &[&x], &window));
    assert_eq!(names(&graph), "Pad AveragePool");
    assert!(matches!(&graph.nodes[1].op, Op::AveragePool(p) if p.pads == [0, 0, 1, 1] && !p.count_pads));
}

#[test]
fn movement_keeps_bytes_and_tails_move_behind() {
    let space_to_depth = [("blocksize", Attribute::Int(2))];
    let graph = chain(&[1, 1, 4, 4], |b, x| b.node("SpaceToDepth", "s2d", &[&x], &space_to_depth));
    assert_eq!(names(&graph), "Reshape Transpose Reshape Lookup");
    let graph = pixel(|b, y| b.node("Flatten", "flat", &[&y], &[])).partition();
    assert_eq!(names(&graph), "Conv Reshape");
    let graph = chain(&[2, 6], |b, x| {
        let (starts, ends) = (b.ints("starts", &[4.0]), b.ints("ends", &[-100.0]));
        let (axes, steps) = (b.ints("axes", &[1.0]), b.ints("steps", &[-2.0]));
        b.node("Slice", "slice", &[&x, &starts, &ends, &axes, &steps], &[])
    });
    assert!(matches!(&graph.nodes[0].op, Op::Gather { axis: 1, indices } if indices[..] == [4, 2, 0]));
}

#[test]
fn a_pad_that_has_no_byte_is_rounded_behind() {
    let graph = chain(&[1, 1, 2, 2], |b, x| {
        let (pads, value) = (b.ints("pads", &[0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]), b.float("value", &[0.3]));
        b.node("Pad", "pad", &[&x, &pads, &value], &[])
    });
    assert_eq!(names(&graph), "Lookup Pad");
    assert!(matches!(&graph.nodes[1].op, Op::Pad { value: 1, .. }));
}

#[test]
fn softmax_before_operator_set_13_takes_all_axes_from_one_on() {
    let mut b = Builder::new(&[2, 3, 4]);
    b.opset = 11;
    let x = b.qdq("a", "x", 0.5, 0);
    let y = b.node("Softmax", "softmax", &[&x], &[("axis", Attribute::Int(1))]);
    let y = b.qdq("y", &y, 0.00390625, -128);
    b.output(&y);
    let graph = b.partition();
    assert_eq!(names(&graph), "Reshape Softmax Reshape");
    assert_eq!(graph.tensors[graph.nodes[1].output].shape, [2, 12]);
}

#[test]
fn a_factor_for_each_channel_is_a_depthwise_convolution() {
    let graph = chain(&[1, 3, 2, 2], |b, x| {
        let factors = b.constant("factors", &[3, 1, 1], DataType::Float, &[0.1, 0.25, 0.777]);
        b.node("Mul", "mul", &[&x, &factors], &[])
    });
    assert_eq!(names(&graph), "Conv");
    let conv = conv(&graph);
    assert_eq!((conv.groups, conv.kernel), (3, [1, 1]));
    assert!((conv.weight_scales[2] * f32::from(conv.weights[2]) - 0.777).abs() < 1e-6);
}

#[test]
fn constants_are_operands_where_every_value_is_a_step() {
    let graph = chain(&[1, 2], |b, x| {
        let constant = b.constant("c", &[2, 2], DataType::Float, &[0.5, -1.5, 2.0, 0.0]);
        b.node("Add", "add", &[&x, &constant], &[])
    });
    let constant = graph.tensors.iter().find(|t| t.constant.is_some()).unwrap();
    let Some(Constant::Bytes(bytes)) = &constant.constant else { panic!("{constant:?}") };
    let reals: Vec<f32> = bytes.iter().map(|&b| f32::from(b) * constant.quant.scale).collect();
    assert_eq!((names(&graph).as_str(), &reals[..]), ("Add", &[0.5, -1.5, 2.0, 0.0][..]));
}
