//! Loops and branches that depend on values of a run.

use leptond::model::LoadedModel;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::tensor2;

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
