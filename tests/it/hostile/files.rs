//! The files, each standing for a kind.

use tract_onnx::pb;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;

use crate::model::build::*;

fn with(mut node: pb::NodeProto, attributes: Vec<pb::AttributeProto>) -> pb::NodeProto {
    node.attribute = attributes;
    node
}

fn attr_text(name: &str, value: &str) -> pb::AttributeProto {
    let s = value.as_bytes().to_vec();
    pb::AttributeProto { name: name.into(), r#type: AttributeType::String as i32, s, ..Default::default() }
}

/// A picture `x` through one node to `y`.
fn picture(initializer: Vec<pb::TensorProto>, node: pb::NodeProto) -> Vec<u8> {
    let x = port("x", DataType::Float, &[1, 3, 8, 8]);
    file(graph(vec![x], initializer, vec![node], vec![port("y", DataType::Float, &[])]))
}

/// The constant `c`, computed by `nodes`, of which one element is added to `x`.
fn constant(mut initializer: Vec<pb::TensorProto>, mut nodes: Vec<pb::NodeProto>) -> Vec<u8> {
    initializer.push(ints("flat", &[1], &[-1]));
    initializer.push(ints("first", &[1], &[0]));
    nodes.push(node("Reshape", &["c", "flat"], &["row"]));
    nodes.push(node("Gather", &["row", "first"], &["one"]));
    nodes.push(node("Cast", &["one"], &["float"]));
    nodes.last_mut().unwrap().attribute = vec![attr_int("to", DataType::Float as i64)];
    nodes.push(node("Add", &["x", "float"], &["y"]));
    line(initializer, nodes)
}

/// `n` floats.
fn many(name: &str, dims: &[i64]) -> pb::TensorProto {
    floats(name, dims, &vec![1.0; dims.iter().product::<i64>() as usize])
}

/// Name, file, and words of the refusal; none where it may be loaded.
pub fn hostile() -> Vec<(&'static str, Vec<u8>, &'static [&'static str])> {
    let to = |dtype: DataType| vec![attr_int("to", dtype as i64)];
    let pool = |op: &str, kernel: &[i64], more: Vec<pb::AttributeProto>| {
        let mut attributes = vec![attr_ints("kernel_shape", kernel)];
        attributes.extend(more);
        with(node(op, &["x"], &["y"]), attributes)
    };
    let doublings = |count: usize| {
        let mut nodes = vec![node("Concat", &["s", "s"], &["d0"])];
        for i in 1..count {
            nodes.push(node("Concat", &[&format!("d{}", i - 1), &format!("d{}", i - 1)], &[&format!("d{i}")]));
        }
        nodes.push(node("Identity", &[&format!("d{}", count - 1)], &["c"]));
        for node in nodes.iter_mut().filter(|n| n.op_type == "Concat") {
            node.attribute = vec![attr_int("axis", 0)];
        }
        nodes
    };
    let filled = |count: usize| {
        // Each is small enough to be kept, all of them are not.
        let mut nodes = Vec::new();
        for i in 0..count {
            nodes.push(with(node("Cast", &[&format!("v{i}")], &[&format!("f{i}")]), to(DataType::Float)));
            nodes.push(node("Expand", &[&format!("f{i}"), "million"], &[&format!("e{i}")]));
        }
        let all: Vec<String> = (0..count).map(|i| format!("e{i}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        nodes.push(with(node("Max", &all, &["c"]), vec![]));
        nodes
    };
    let values = |count: usize| -> Vec<pb::TensorProto> {
        (0..count)
            .map(|i| ints(&format!("v{i}"), &[1], &[i as i64]))
            .chain([ints("million", &[1], &[1 << 20])])
            .collect()
    };
    vec![
        // The kinds that were found first.
        (
            "transpose with an axis twice",
            line(vec![], vec![with(node("Transpose", &["x"], &["y"]), vec![attr_ints("perm", &[0, 0])])]),
            &["the_y", "Transpose", "permutation"],
        ),
        (
            "pool of a million squared",
            picture(vec![], pool("AveragePool", &[1 << 20, 1 << 20], vec![attr_text("auto_pad", "SAME_UPPER")])),
            &["the_y", "AveragePool", "positions"],
        ),
        (
            "shape from a cast float",
            constant(
                vec![floats("a", &[1], &[1.7e10])],
                vec![
                    with(node("Cast", &["a"], &["s"]), to(DataType::Int64)),
                    node("ConstantOfShape", &["s"], &["f"]),
                    node("Cos", &["f"], &["c"]),
                ],
            ),
            &["the_f", "ConstantOfShape"],
        ),
        (
            "product of two long vectors",
            constant(vec![many("a", &[36_000, 1]), many("b", &[1, 36_000])], vec![node("MatMul", &["a", "b"], &["c"])]),
            &["the_c", "MatMul"],
        ),
        (
            "tile of a long vector",
            constant(
                vec![many("a", &[1, 36_000]), ints("n", &[2], &[36_000, 1])],
                vec![node("Tile", &["a", "n"], &["c"])],
            ),
            &["the_c", "Tile"],
        ),
        // Their siblings.
        (
            "transpose beyond the rank",
            line(vec![], vec![with(node("Transpose", &["x"], &["y"]), vec![attr_ints("perm", &[0, 5])])]),
            &["the_y", "permutation"],
        ),
        (
            "transpose with too many axes",
            line(vec![], vec![with(node("Transpose", &["x"], &["y"]), vec![attr_ints("perm", &[0, 1, 2])])]),
            &["the_y", "3 axes"],
        ),
        (
            "maximum over a billion",
            picture(vec![], pool("MaxPool", &[1 << 30, 1], vec![attr_text("auto_pad", "SAME_LOWER")])),
            &["the_y", "window"],
        ),
        (
            "gaps of a billion",
            picture(vec![], pool("MaxPool", &[3, 3], vec![attr_ints("dilations", &[1 << 30, 1])])),
            &["the_y", "dilations"],
        ),
        (
            "pads of a billion",
            picture(vec![], pool("AveragePool", &[3, 3], vec![attr_ints("pads", &[1 << 30, 0, 0, 0])])),
            &["the_y", "pads"],
        ),
        (
            "pads that overflow",
            picture(
                vec![many("w", &[1, 3, 1, 1])],
                with(node("Conv", &["x", "w"], &["y"]), vec![attr_ints("pads", &[i64::MAX, 0, 0, 0])]),
            ),
            &["the_y", "Conv", "pads"],
        ),
        (
            "strides of zero",
            picture(
                vec![many("w", &[1, 3, 1, 1])],
                with(node("Conv", &["x", "w"], &["y"]), vec![attr_ints("strides", &[0, 1])]),
            ),
            &["the_y", "strides"],
        ),
        (
            "transposed convolution of a large stride",
            picture(
                vec![many("w", &[3, 64, 2, 2])],
                with(node("ConvTranspose", &["x", "w"], &["y"]), vec![attr_ints("strides", &[4096, 4096])]),
            ),
            &["the_y", "ConvTranspose"],
        ),
        (
            "resize to NaN",
            picture(vec![floats("s", &[4], &[1.0, 1.0, f32::NAN, 1.0])], node("Resize", &["x", "", "s"], &["y"])),
            &["the_y", "Resize", "NaN"],
        ),
        (
            "resize to infinity",
            picture(vec![floats("s", &[4], &[1.0, 1.0, f32::INFINITY, 1.0])], node("Resize", &["x", "", "s"], &["y"])),
            &["the_y", "inf"],
        ),
        (
            "resize to a billion",
            picture(vec![ints("n", &[4], &[1, 3, 1 << 20, 1 << 20])], node("Resize", &["x", "", "", "n"], &["y"])),
            &["the_y", "sizes"],
        ),
        (
            "split of zero",
            picture(vec![ints("n", &[1], &[0])], with(node("Split", &["x", "n"], &["y"]), vec![attr_int("axis", 1)])),
            &["the_y", "Split", "makes 0"],
        ),
        (
            "split into too much",
            picture(
                vec![ints("n", &[1], &[1 << 40])],
                with(node("Split", &["x", "n"], &["y"]), vec![attr_int("axis", 1)]),
            ),
            &["the_y", "Split"],
        ),
        (
            "negative dimension",
            line(vec![ints("n", &[2], &[-3, 4])], vec![node("Reshape", &["x", "n"], &["y"])]),
            &["the_y", "Reshape", "-3"],
        ),
        (
            "negative shape",
            constant(vec![ints("s", &[1], &[-7])], vec![node("ConstantOfShape", &["s"], &["c"])]),
            &["the_c", "-7"],
        ),
        (
            "negative dimension of the input",
            {
                let mut g = network();
                if let Some(pb::type_proto::Value::TensorType(t)) = g.input[0].r#type.as_mut().unwrap().value.as_mut() {
                    t.shape.as_mut().unwrap().dim[1].value =
                        Some(pb::tensor_shape_proto::dimension::Value::DimValue(-5));
                }
                file(g)
            },
            &["\"x\"", "-5"],
        ),
        (
            "dimensions that overflow",
            constant(
                vec![ints("s", &[3], &[1 << 40, 1 << 40, 1 << 40])],
                vec![node("ConstantOfShape", &["s"], &["c"])],
            ),
            &["the_c", "elements"],
        ),
        (
            "expand of one number",
            constant(
                vec![many("a", &[1]), ints("s", &[2], &[1 << 15, 1 << 15])],
                vec![node("Expand", &["a", "s"], &["c"])],
            ),
            &["the_c", "Expand"],
        ),
        (
            "shape by arithmetic",
            constant(
                vec![ints("a", &[1], &[1 << 20]), ints("b", &[1], &[1 << 12])],
                vec![node("Mul", &["a", "b"], &["s"]), node("ConstantOfShape", &["s"], &["c"])],
            ),
            &["the_c", "ConstantOfShape"],
        ),
        ("doublings", constant(vec![many("s", &[1024])], doublings(30)), &["Concat"]),
        ("doublings up to the bound of one", constant(vec![many("s", &[1024])], doublings(14)), &[]),
        ("many that are kept", constant(values(40), filled(40)), &["Expand", "so far"]),
        (
            "range of a billion",
            constant(
                vec![ints("a", &[], &[0]), ints("b", &[], &[1 << 33]), ints("d", &[], &[1])],
                vec![node("Range", &["a", "b", "d"], &["c"])],
            ),
            &["the_c", "Range"],
        ),
        (
            "range of floats",
            constant(
                vec![floats("a", &[], &[0.0]), floats("b", &[], &[1e10]), floats("d", &[], &[0.1])],
                vec![node("Range", &["a", "b", "d"], &["c"])],
            ),
            &["the_c", "Range"],
        ),
        (
            "range without a step",
            constant(
                vec![ints("a", &[], &[0]), ints("b", &[], &[9]), ints("d", &[], &[0])],
                vec![node("Range", &["a", "b", "d"], &["c"])],
            ),
            &["the_c", "step is 0"],
        ),
        (
            "one-hot of a billion classes",
            constant(
                vec![ints("i", &[1], &[0]), ints("d", &[], &[1 << 34]), floats("v", &[2], &[0.0, 1.0])],
                vec![node("OneHot", &["i", "d", "v"], &["c"])],
            ),
            &["the_c", "OneHot"],
        ),
        (
            "pad of a constant",
            constant(
                vec![many("a", &[1, 1]), ints("p", &[4], &[1 << 14, 0, 0, 1 << 15])],
                vec![node("Pad", &["a", "p"], &["c"])],
            ),
            &["the_c", "Pad"],
        ),
        (
            "gather with repeated indices",
            constant(
                vec![many("a", &[1, 30_000]), ints("z", &[30_000], &[0; 30_000])],
                vec![node("Gather", &["a", "z"], &["c"])],
            ),
            &["the_c", "Gather"],
        ),
        (
            "sum of a column and a row",
            constant(vec![many("a", &[30_000, 1]), many("b", &[30_000])], vec![node("Add", &["a", "b"], &["c"])]),
            &["the_c", "Add"],
        ),
        (
            "comparison of a column and a row",
            constant(vec![many("a", &[60_000, 1]), many("b", &[60_000])], vec![node("Greater", &["a", "b"], &["c"])]),
            &["the_c", "Greater"],
        ),
        (
            "choice between a column and a row",
            constant(
                vec![many("a", &[30_000, 1]), many("b", &[30_000]), raw("w", &[1], DataType::Bool, vec![1])],
                vec![node("Where", &["w", "a", "b"], &["c"])],
            ),
            &["the_c", "Where"],
        ),
        (
            "product with much work and a small result",
            constant(
                vec![many("a", &[1, 1 << 16]), many("n", &[1])],
                vec![
                    with(node("Transpose", &["a"], &["t"]), vec![attr_ints("perm", &[1, 0])]),
                    node("MatMul", &["t", "a"], &["m"]),
                    node("MatMul", &["m", "t"], &["c"]),
                ],
            ),
            &["the_m", "MatMul"],
        ),
        (
            "einsum of long vectors",
            constant(
                vec![many("a", &[30_000]), many("b", &[30_000])],
                vec![with(node("Einsum", &["a", "b"], &["c"]), vec![attr_text("equation", "i,j->ij")])],
            ),
            &["the_c", "Einsum"],
        ),
        (
            "upsampled constant",
            constant(
                vec![many("a", &[1, 1, 8, 8]), floats("s", &[4], &[1.0, 1.0, 2000.0, 2000.0])],
                vec![node("Resize", &["a", "", "s"], &["c"])],
            ),
            &["the_c", "Resize"],
        ),
        (
            "random numbers without end",
            constant(
                vec![],
                vec![with(node("RandomNormal", &[], &["c"]), vec![attr_ints("shape", &[1 << 20, 1 << 20])])],
            ),
            &["the_c", "elements"],
        ),
        (
            "recurrent of a large state",
            line(
                vec![many("w", &[1, 4, 4]), many("r", &[1, 4, 1])],
                vec![with(node("LSTM", &["x", "w", "r"], &["y"]), vec![attr_int("hidden_size", 1 << 40)])],
            ),
            &["the_y", "hidden_size"],
        ),
        (
            "depth by a huge block",
            picture(vec![], with(node("DepthToSpace", &["x"], &["y"]), vec![attr_int("blocksize", 1 << 40)])),
            &["the_y", "blocksize"],
        ),
        (
            "activations beyond the memory",
            {
                let shape = ints("n", &[2], &[1 << 12, 1 << 15]);
                line(
                    vec![shape, ints("o", &[1], &[1]), ints("z", &[1], &[0])],
                    vec![
                        node("Slice", &["x", "z", "o", "o"], &["s"]),
                        node("Expand", &["s", "n"], &["e"]),
                        node("Relu", &["e"], &["y"]),
                    ],
                )
            },
            &[],
        ),
        (
            "empty attributes",
            {
                let mut n = node("Relu", &["x"], &["y"]);
                n.attribute = vec![pb::AttributeProto::default(); 400_000];
                line(vec![], vec![n])
            },
            &["MiB"],
        ),
        ("empty nodes", line(vec![], vec![pb::NodeProto::default(); 450_000]), &["nodes"]),
        (
            "too many nodes",
            {
                let mut nodes: Vec<pb::NodeProto> =
                    (0..20_000).map(|i| node("Relu", &["x"], &[&format!("r{i}")])).collect();
                nodes.push(node("Relu", &["x"], &["y"]));
                line(vec![], nodes)
            },
            &["20001 nodes"],
        ),
        (
            "hidden in a branch",
            {
                let body = graph(
                    vec![],
                    vec![ints("n", &[2], &[1 << 15, 1 << 15]), many("a", &[1])],
                    vec![node("Expand", &["a", "n"], &["b"])],
                    vec![port("b", DataType::Float, &[])],
                );
                let other = graph(
                    vec![],
                    vec![],
                    vec![node("Identity", &["x"], &["i"])],
                    vec![port("i", DataType::Float, &[])],
                );
                let branch = with(
                    node("If", &["q"], &["y"]),
                    vec![attr_graph("then_branch", body), attr_graph("else_branch", other)],
                );
                line(
                    vec![floats("zero", &[], &[0.0])],
                    vec![
                        with(node("ReduceMax", &["x"], &["m"]), vec![attr_int("keepdims", 0)]),
                        node("Greater", &["m", "zero"], &["q"]),
                        branch,
                    ],
                )
            },
            &["the_b", "Expand"],
        ),
    ]
}
