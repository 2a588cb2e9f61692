//! Loops and branches that depend on values of a run.

use leptond::model::LoadedModel;
use tract_onnx::pb::NodeProto;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::{Tensor, tensor2};

use super::build::{attr_graph, attr_int, file, floats, graph, ints, node, port, raw};

#[test]
fn a_branch_in_a_loop_reads_what_lies_around_both() {
    let mut doubled = graph(
        vec![],
        vec![floats("two", &[], &[2.0])],
        vec![node("Add", &["sum", "x"], &["twice"]), node("Mul", &["twice", "two"], &["then"])],
        vec![port("then", DataType::Float, &[])],
    );
    doubled.name = "doubled".into();
    let counted = graph(
        vec![],
        vec![],
        vec![node("Add", &["sum", "number"], &["else"])],
        vec![port("else", DataType::Float, &[])],
    );
    let mut branch = node("If", &["first"], &["next"]);
    branch.attribute = vec![attr_graph("then_branch", doubled), attr_graph("else_branch", counted)];
    let mut cast = node("Cast", &["i"], &["number"]);
    cast.attribute = vec![attr_int("to", 1)];
    let body = graph(
        vec![port("i", DataType::Int64, &[]), port("go", DataType::Bool, &[]), port("sum", DataType::Float, &[1, 4])],
        vec![ints("one", &[], &[1])],
        vec![cast, node("Less", &["i", "one"], &["first"]), branch, node("Identity", &["go"], &["on"])],
        vec![port("on", DataType::Bool, &[]), port("next", DataType::Float, &[])],
    );
    let mut around = node("Loop", &["count", "start", "x"], &["y"]);
    around.attribute = vec![attr_graph("body", body)];
    let constants = vec![ints("count", &[], &[3]), raw("start", &[], DataType::Bool, vec![1])];
    let [x, y] = ["x", "y"].map(|name| port(name, DataType::Float, &[1, 4]));
    let model = LoadedModel::from_onnx("loop.onnx", &file(graph(vec![x], constants, vec![around], vec![y]))).unwrap();
    let outputs = model.run_raw(vec![tensor2(&[[1.0f32, 2.0, -3.0, 0.5]])], |_, _| ()).unwrap();
    // (x + x) · 2, then 1 and 2 more.
    assert_eq!(outputs[0], tensor2(&[[7.0f32, 11.0, -9.0, 5.0]]));
}

/// A loop of `count` steps over `x`, with this body on `i`, `go` and `value` that makes `next`, and `shape` of its result.
fn looped(count: i64, nodes: Vec<NodeProto>, carried: &[i64], shape: &[i64]) -> LoadedModel {
    let body = graph(
        vec![port("i", DataType::Int64, &[]), port("go", DataType::Bool, &[]), port("value", DataType::Float, carried)],
        vec![floats("half", &[], &[0.5])],
        nodes.into_iter().chain([node("Identity", &["go"], &["on"])]).collect(),
        vec![port("on", DataType::Bool, &[]), port("next", DataType::Float, carried)],
    );
    let mut around = node("Loop", &["count", "start", "x"], &["y"]);
    around.attribute = vec![attr_graph("body", body)];
    let constants = vec![ints("count", &[], &[count]), raw("start", &[], DataType::Bool, vec![1])];
    let (x, y) = (port("x", DataType::Float, &[1, 2]), port("y", DataType::Float, shape));
    LoadedModel::from_onnx("loop.onnx", &file(graph(vec![x], constants, vec![around], vec![y]))).unwrap()
}

#[test]
fn a_body_of_known_shapes_computes_the_same_in_every_step_and_run() {
    let nodes = vec![
        node("Mul", &["value", "half"], &["smaller"]),
        // Captured from around the loop.
        node("Add", &["smaller", "x"], &["next"]),
    ];
    let model = looped(20, nodes, &[1, 2], &[1, 2]);
    for x in [[1.0f32, -4.0], [1.0, -4.0], [0.25, 8.0]] {
        let outputs = model.run_raw(vec![tensor2(&[x])], |_, _| ()).unwrap();
        let wanted = x.map(|x| (0..20).fold(x, |value, _| value * 0.5 + x));
        assert_eq!(outputs[0], tensor2(&[wanted]));
    }
}

#[test]
fn a_value_that_grows_in_every_step_is_computed_node_by_node() {
    let mut joined = node("Concat", &["value", "scaled"], &["next"]);
    joined.attribute = vec![attr_int("axis", 0)];
    let model = looped(9, vec![node("Mul", &["x", "half"], &["scaled"]), joined], &[-1, 2], &[-1, 2]);
    for _ in 0..2 {
        let outputs = model.run_raw(vec![tensor2(&[[2.0f32, 6.0]])], |_, _| ()).unwrap();
        let rows: Vec<f32> = [2.0, 6.0].into_iter().chain([1.0, 3.0].into_iter().cycle().take(18)).collect();
        assert_eq!(outputs[0], Tensor::from_shape(&[10, 2], &rows).unwrap());
    }
}
