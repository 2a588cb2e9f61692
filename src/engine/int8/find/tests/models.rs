//! Whole models.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prost::Message;
use tract_onnx::pb::ModelProto;

use super::{build, check};
use crate::int8::decompose;
use crate::int8::find::{Found, GraphProto, Idle, Verdict, find_with};
use crate::int8::graph::Port;

/// Reads a model, gives names to nodes without one, and searches it.
fn search(path: &Path, idle: Idle) -> (GraphProto, Found) {
    let mut model = ModelProto::decode(&*std::fs::read(path).unwrap()).unwrap();
    let opset = model.opset_import.iter().find(|o| o.domain.is_empty()).map_or(0, |o| o.version);
    let graph = model.graph.as_mut().unwrap();
    graph.value_info.clear();
    for (index, node) in graph.node.iter_mut().enumerate() {
        if node.name.is_empty() {
            node.name = format!("{}_{index}", node.op_type);
        }
    }
    decompose(graph);
    let facts = build::facts(&model, &[1, 3, 32, 32]);
    let graph = model.graph.unwrap();
    let found = find_with(&graph, opset, &facts, idle);
    check::found(&graph, &facts, &found);
    (graph, found)
}

/// A line for each kind of verdict and for each partition.
fn table(graph: &GraphProto, found: &Found) -> String {
    let mut lines: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
    for (node, verdict) in graph.node.iter().zip(&found.verdicts) {
        let line = match verdict {
            Verdict::Integer { partition } => format!("partition {partition}"),
            Verdict::Planned { partition } => format!("partition {partition}, floats"),
            Verdict::Float { why } => format!("float: {why}"),
            Verdict::Folded => "folded".to_owned(),
        };
        *lines.entry(line).or_default().entry(&node.op_type).or_default() += 1;
    }
    let mut text = String::new();
    for (line, operators) in lines {
        let operators: Vec<String> = operators.iter().map(|(op, n)| format!("{n} {op}")).collect();
        text += &format!("    {line}: {}\n", operators.join(", "));
    }
    for (index, partition) in found.partitions.iter().enumerate() {
        let mut ops: BTreeMap<&str, usize> = BTreeMap::new();
        partition.graph.nodes.iter().for_each(|n| *ops.entry(n.op.name()).or_default() += 1);
        let port = |p: &Port| format!("{} {:?}", p.name, p.format);
        let ports = |ports: &[Port]| ports.iter().map(port).collect::<Vec<_>>().join(", ");
        let (inputs, outputs) = (ports(&partition.graph.inputs), ports(&partition.graph.outputs));
        text += &format!("    partition {index}: {inputs} -> {ops:?} -> {outputs}\n");
    }
    text
}

/// Every ONNX file below a directory.
pub fn below(directory: &Path, found: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            below(&path, found);
        } else if path.extension().is_some_and(|e| e == "onnx") {
            found.push(path);
        }
    }
    found.sort();
}

#[test]
fn every_node_of_our_own_models_runs_in_integers() {
    let mut paths = Vec::new();
    below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models"), &mut paths);
    assert!(!paths.is_empty());
    for path in paths {
        let (graph, found) = search(&path, Idle::Drop);
        let float = found.verdicts.iter().any(|v| matches!(v, Verdict::Float { .. }));
        assert!(!float && found.partitions.len() == 1, "{}\n{}", path.display(), table(&graph, &found));
    }
}

#[test]
#[ignore = "prints what is found in the models below LEPTOND_TEST_MODELS, with LEPTOND_TEST_IDLE also idle partitions"]
fn verdicts() {
    let places = std::env::var_os("LEPTOND_TEST_MODELS").unwrap_or_default();
    let idle = if std::env::var_os("LEPTOND_TEST_IDLE").is_some() { Idle::Keep } else { Idle::Drop };
    let mut paths = Vec::new();
    std::env::split_paths(&places).for_each(|place| below(&place, &mut paths));
    for path in paths {
        match std::panic::catch_unwind(|| search(&path, idle)) {
            Ok((graph, found)) => println!("{}\n{}", path.display(), table(&graph, &found)),
            Err(_) => println!("{}\n    cannot be searched", path.display()),
        }
    }
}
