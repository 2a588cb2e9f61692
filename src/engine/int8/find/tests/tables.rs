//! Functions of the same bytes, products of activations, transposed convolutions and normalisations.

use tract_onnx::pb::tensor_proto::DataType;

use super::build::{Attribute, Builder};
use crate::int8::graph::{Graph, Op};

/// Operators that are left of a graph, by name, separated by spaces.
fn names(graph: &Graph) -> String {
    graph.nodes.iter().map(|n| n.op.name()).collect::<Vec<_>>().join(" ")
}

fn tables(graph: &Graph) -> Vec<[i8; 256]> {
    graph.nodes.iter().filter_map(|n| if let Op::Lookup(table) = &n.op { Some(**table) } else { None }).collect()
}

/// A convolution of one pixel whose result `a` is in steps of ⅛, and what `make` makes of it, in steps of ¼.
fn behind_conv(make: impl FnOnce(&mut Builder, &str) -> String) -> Builder {
    let mut b = Builder::new(&[1, 2, 3, 3]);
    let x = b.qdq("x0", "x", 0.125, 3);
    let w = b.weights("w", &[2, 2, 1, 1], &[1.0, -2.0, 3.0, 4.0], &[0.5, 0.25], 0);
    let y = b.node("Conv", "conv", &[&x, &w], &[]);
    let a = b.qdq("a", &y, 0.125, -3);
    let y = make(&mut b, &a);
    let y = b.qdq("y", &y, 0.25, -100);
    b.output(&y);
    b
}

/// `QuantizeLinear` and `DequantizeLinear` of one value, as ONNX defines them.
fn rounded(real: f32, scale: f32, zero: f32) -> f32 {
    ((real / scale).round_ties_even() + zero).clamp(-128.0, 127.0) - zero
}

/// The table of a function of `a`, and where it is rounded last.
fn expected(f: impl Fn(f32) -> f32) -> [i8; 256] {
    std::array::from_fn(|byte| {
        let a = (f32::from(byte as u8 as i8) + 3.0) * 0.125;
        (rounded(f(a), 0.25, -100.0) - 100.0) as i8
    })
}

#[test]
fn a_product_with_a_rounded_function_of_itself_is_one_table() {
    let mut b = behind_conv(|b, a| {
        let s = b.node("Sigmoid", "sigmoid", &[a], &[]);
        let s = b.qdq("s", &s, 1.0 / 256.0, -128);
        b.node("Mul", "mul", &[a, &s], &[])
    });
    let graph = b.partition();
    assert_eq!(names(&graph), "Conv Lookup");
    let sigmoid = |a: f32| (1.0 / (1.0 + (-f64::from(a)).exp())) as f32;
    let want = expected(|a| a * (rounded(sigmoid(a), 1.0 / 256.0, -128.0) * (1.0 / 256.0)));
    assert_eq!(tables(&graph), [want]);
}

#[test]
fn every_rounding_on_the_way_is_in_the_table() {
    // GELU as exporters spell it, everything quantised.
    let mut b = behind_conv(|b, a| {
        let [root, one, half] = [("root", 1.5), ("one", 1.0), ("half", 0.5)].map(|(n, v)| b.float(n, &[v]));
        let d = b.node("Div", "div", &[a, &root], &[]);
        let e = b.node("Tanh", "tanh", &[&d], &[]);
        let e = b.qdq("e", &e, 0.0078125, 0);
        let f = b.node("Add", "add", &[&e, &one], &[]);
        let f = b.qdq("f", &f, 0.0078125, -128);
        let g = b.node("Mul", "mul", &[a, &f], &[]);
        let g = b.qdq("g", &g, 0.25, -90);
        b.node("Mul", "mul2", &[&g, &half], &[])
    });
    let graph = b.partition();
    assert_eq!(names(&graph), "Conv Lookup");
    let want = expected(|a| {
        let e = rounded((f64::from(a / 1.5).tanh()) as f32, 0.0078125, 0.0) * 0.0078125;
        let f = rounded(e + 1.0, 0.0078125, -128.0) * 0.0078125;
        rounded(a * f, 0.25, -90.0) * 0.25 * 0.5
    });
    assert_eq!(tables(&graph), [want]);
}

#[test]
fn numbers_that_are_quantised_are_numbers() {
    // As onnxruntime's quantiser leaves constants of GELU: bytes behind a `DequantizeLinear`.
    let mut b = behind_conv(|b, a| {
        let one = b.weights("one", &[], &[100.0], &[0.01], 0);
        let half = b.weights("half", &[1, 1, 1], &[127.0; 1], &[0.5 / 127.0], 0);
        let e = b.node("Tanh", "tanh", &[a], &[]);
        let e = b.qdq("e", &e, 0.0078125, 0);
        let f = b.node("Add", "add", &[&e, &one], &[]);
        let f = b.qdq("f", &f, 0.0078125, -128);
        let g = b.node("Mul", "mul", &[a, &f], &[]);
        let g = b.qdq("g", &g, 0.25, -90);
        b.node("Mul", "mul2", &[&half, &g], &[])
    });
    let graph = b.partition();
    assert_eq!(names(&graph), "Conv Lookup");
    let (one, half) = (100.0 * 0.01f32, 127.0 * (0.5f64 / 127.0) as f32);
    let want = expected(|a| {
        let e = rounded(f64::from(a).tanh() as f32, 0.0078125, 0.0) * 0.0078125;
        let f = rounded(e + one, 0.0078125, -128.0) * 0.0078125;
        half * (rounded(a * f, 0.25, -90.0) * 0.25)
    });
    assert_eq!(tables(&graph), [want]);
}

#[test]
fn what_others_read_of_a_chain_is_made_by_a_table_of_its_own() {
    let mut b = behind_conv(|b, a| {
        let s = b.node("Sigmoid", "sigmoid", &[a], &[]);
        let s = b.qdq("s", &s, 1.0 / 256.0, -128);
        let m = b.node("MaxPool", "pool", &[&s], &[("kernel_shape", Attribute::Ints(vec![3, 3]))]);
        b.output(&m);
        b.node("Mul", "mul", &[a, &s], &[])
    });
    let graph = b.partition();
    assert_eq!(tables(&graph).len(), 2);
    let conv = graph.nodes.iter().find(|n| matches!(n.op, Op::Conv(_))).unwrap().output;
    let lookups = graph.nodes.iter().filter(|n| matches!(n.op, Op::Lookup(_)));
    assert!(lookups.into_iter().all(|n| n.inputs == [conv]), "both from what the convolution makes");
}

#[test]
fn a_function_moves_with_its_elements() {
    let mut b = behind_conv(|b, a| {
        let s = b.node("Sigmoid", "sigmoid", &[a], &[]);
        b.node("Transpose", "turn", &[&s], &[("perm", Attribute::Ints(vec![0, 2, 3, 1]))])
    });
    assert_eq!(names(&b.partition()), "Conv Transpose Lookup");
}

#[test]
fn transposed_convolutions_keep_their_integers() {
    let mut b = Builder::new(&[1, 2, 3, 3]);
    let x = b.qdq("a", "x", 0.125, 3);
    let w = b.weights("w", &[2, 2, 1, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], &[0.5, 0.25], 1);
    let attributes = [("strides", Attribute::Ints(vec![1, 2])), ("pads", Attribute::Ints(vec![0, 1, 0, 0]))];
    let y = b.node("ConvTranspose", "up", &[&x, &w], &attributes);
    let y = b.qdq("y", &y, 0.25, 0);
    b.output(&y);
    let graph = b.partition();
    let [node] = &graph.nodes[..] else { panic!("{}", names(&graph)) };
    let Op::ConvTranspose(conv) = &node.op else { panic!("{}", names(&graph)) };
    // `[out, in, rows, columns]`.
    assert_eq!(conv.weights[..], [1, 2, 5, 6, 3, 4, 7, 8]);
    assert_eq!((&conv.weight_scales[..], conv.strides, conv.pads), (&[0.5, 0.25][..], [1, 2], [0, 1, 0, 0]));
    assert_eq!(graph.tensors[node.output].shape, [1, 2, 3, 5]);
}

#[test]
fn products_of_activations_take_factors_in() {
    let mut b = Builder::new(&[2, 4, 6]);
    let x = b.qdq("a", "x", 0.125, 3);
    let t = b.node("Transpose", "turn", &[&x], &[("perm", Attribute::Ints(vec![0, 2, 1]))]);
    let y = b.node("MatMul", "scores", &[&x, &t], &[]);
    let eighth = b.float("eighth", &[0.125]);
    let y = b.node("Mul", "scaled", &[&y, &eighth], &[]);
    let y = b.qdq("y", &y, 0.25, 0);
    b.output(&y);
    let graph = b.partition();
    assert_eq!(names(&graph), "Transpose MatMul");
    assert!(matches!(graph.nodes[1].op, Op::BatchMatMul { factor: 0.125, .. }));
}

#[test]
fn rows_are_normalised_between_bytes() {
    let mut b = Builder::new(&[1, 5, 4]);
    let x = b.qdq("a", "x", 0.125, 3);
    let scale = b.weights("scale", &[4], &[1.0, 2.0, 3.0, 4.0], &[0.5], 0);
    let bias = b.constant("bias", &[4], DataType::Float, &[0.0, 1.0, 2.0, 3.0]);
    let y = b.node("LayerNormalization", "norm", &[&x, &scale, &bias], &[("epsilon", Attribute::Float(1e-6))]);
    let y = b.qdq("y", &y, 0.25, 0);
    b.output(&y);
    b.opset = 17;
    let graph = b.partition();
    let [node] = &graph.nodes[..] else { panic!("{}", names(&graph)) };
    let Op::LayerNorm(norm) = &node.op else { panic!("{}", names(&graph)) };
    assert_eq!(norm.scale.as_deref(), Some(&vec![0.5, 1.0, 1.5, 2.0]));
    assert_eq!(norm.bias.as_deref(), Some(&vec![0.0, 1.0, 2.0, 3.0]));
}
